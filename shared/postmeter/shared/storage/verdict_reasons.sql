-- numbers: postmeter.shared.storage.verdict_reasons.StoredVerdict

-- name: name
-- The function that tells the name of a stored verdict's reason; null: none. {names}: in the order of their numbers.
CREATE OR REPLACE FUNCTION postmeter_verdict_reason(verdict smallint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (ARRAY[{names}])[verdict >> {StoredVerdict.BITS}]
