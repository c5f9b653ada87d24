-- name: discard_plans
-- Have this connection plan its statements anew (plans.py).
DISCARD PLANS;
