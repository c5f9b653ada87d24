"""What the dashboard reckons with, in a real browser: which line is reached, what is compared, what a stream tells."""

from typing import Any

from playwright.sync_api import Page, Route

from tests.integration.dashboard_modules import SITE, Evaluate


def test_a_line_is_reached_by_exact_counts(evaluate: Evaluate) -> None:
    counts = [(0, 0), (0, 1000), (1, 1001), (1, 1000), (2, 999), (29, 10_000), (3, 1000), (1, 1)]
    rows = [{"complained": n, "delivered": of} for n, of in counts]
    levels = ["under", "under", "under", "over", "over", "over", "far", "far"]
    assert evaluate("model/complaints.js", "return given.map(m.level)", rows) == levels


def test_who_reports_nothing_and_what_says_little_are_told_apart(evaluate: Evaluate) -> None:
    rows = [
        {"mailbox_provider": provider, "complained": n, "delivered": of}
        for provider, n, of in (("gmail", 0, 9000), ("gmail", 9, 9000), ("yahoo", 0, 9000), ("yahoo", 1, 999))
    ]
    rows += [{"complained": 1, "delivered": 1000}, {"complained": 2, "delivered": 999}]
    said = ["none", "over", "under", "little", "over", "over"]
    assert evaluate("model/complaints.js", "return given.map(m.said)", rows) == said


def test_a_point_of_complaints_is_its_day_and_the_six_before(evaluate: Evaluate) -> None:
    rows = [{"timestamp": str(day), "complained": 1 << day, "delivered": day} for day in range(9)]
    view = {"period": {"days": 3, "first": "2026-03-01", "resolution": "day"}, "filters": {}, "zone": "UTC"}
    expression = "return [m.trend(given.rows, given.view), m.trendRequest(given.view).body.from]"
    points, since = evaluate("model/complaints.js", expression, {"rows": rows, "view": view})
    assert points == [
        {"timestamp": str(day), "complained": (1 << day + 1) - (1 << day - 6), "delivered": 7 * day - 21}
        for day in (6, 7, 8)
    ]
    assert since == "2026-02-23"


def test_opens_are_hidden_where_levels_say_so_and_not_where_nobody_knew_levels(evaluate: Evaluate) -> None:
    names = ("delivered", "trackable", "unique_opens", "anonymous_opens")
    rows = [
        dict(zip(names, row, strict=True))
        for row in ((9, 9, 3, 0), (9, 3, 3, 0), (9, 3, 4, 0), (9, 3, 4, 1), (9, 0, 0, 0))
    ]
    assert evaluate("model/seen.js", "return given.map(m.isHidden)", rows) == [False, True, False, True, True]
    missing = evaluate("model/seen.js", "return m.seenOf(given).opens", [{"opens": 2}, {}, {"opens": 3}])
    assert missing == 5


def campaign(name: str, sent_at: str | None, status: str = "sent") -> dict[str, Any]:
    return {"id": name, "sent_at": sent_at, "created_at": "2026-01-01T00:00:00Z", "status": status}


def test_campaigns_stand_in_the_bucket_that_they_were_sent_in(evaluate: Evaluate) -> None:
    rows = [{"timestamp": f"2026-03-0{day}T00:00:00Z"} for day in (1, 2, 3)]
    listed = [
        campaign("late", "2026-03-02T09:00:00Z"),
        campaign("edge", "2026-03-02T00:00:00Z"),
        campaign("before", "2026-03-01T05:59:59Z"),
        campaign("first", "2026-03-01T06:00:00Z"),
        campaign("welcome", "2026-03-01T07:00:00Z", "running"),
        campaign("elsewhere", "2026-03-01T08:00:00Z"),
        campaign("draft", None),
    ]
    counts = [{"campaign": one["id"], "sent": int(one["id"] != "elsewhere")} for one in listed]
    expression = (
        "return m.sendings(given.rows, Date.parse('2026-03-01T06:00:00Z'), given.counts, given.listed)"
        ".map((found) => found.map(({ id }) => id))"
    )
    given = {"rows": rows, "counts": counts, "listed": listed}
    assert evaluate("model/campaigns.js", expression, given) == [["first"], ["edge", "late"], []]
    listed.append(campaign("same", "2026-03-02T09:00:00Z"))  # no earlier than the first
    earlier = "return m.predecessors(given.listed, given.listed[0], 2).map(({ id }) => id)"
    assert evaluate("model/campaigns.js", earlier, given) == ["edge", "elsewhere"]


def test_campaigns_are_proposed_once_most_of_their_opens_have_come(evaluate: Evaluate) -> None:
    listed = [
        campaign("new", "2026-03-09T12:00:01Z"),
        campaign("day", "2026-03-09T11:59:59Z"),
        campaign("welcome", "2026-03-09T00:00:00Z", "running"),
        campaign("old", "2026-02-01T00:00:00Z"),
        campaign("older", "2026-01-01T00:00:00Z"),
        campaign("oldest", "2025-01-01T00:00:00Z"),
        campaign("draft", None, "draft"),
    ]
    expression = (
        "const now = Date.parse('2026-03-10T12:00:00Z');"
        " return [m.proposed(given, now), m.proposed(given.slice(0, 2), now), m.young(given, now).map(({ id }) => id)]"
    )
    proposed, of_two, young = evaluate("model/comparison.js", expression, listed)
    assert (proposed, of_two, young) == (["day", "old", "older"], ["new", "day"], ["new", "day"])


def test_opens_and_clicks_are_those_of_whom_the_switch_counts(evaluate: Evaluate) -> None:
    counts = {"human_opens": 1, "proxy_opens": 10, "machine_opens": 100, "clicks": 3, "machine_clicks": 30}
    expression = (
        "return ['people', 'proxies', 'all'].map((who) => ['opens', 'clicks'].map((name) =>"
        " [m.valueOf(name, given, who), m.splitOf(name, given, who).filter((one) => one.counted)"
        ".map((one) => one.kind).join(' ')]))"
    )
    assert evaluate("model/measures.js", expression, counts) == [
        [[1, "people"], [3, "people"]],
        [[11, "people proxies"], [3, "people"]],
        [[111, "people proxies machines"], [33, "people machines"]],
    ]
    rates = (
        "return [m.rateOf('bounced', given, 'all'), m.fractionOf('opened', given, 'all'), m.wholeOf('opens', given)]"
    )
    row = {"hard_bounced": 1, "soft_bounced": 2, "sent": 8, "unique_opens": 5, "delivered": 4}
    assert evaluate("model/measures.js", rates, row) == ["37.5\u202f%", None, None]


def test_a_change_says_which_way_it_went(evaluate: Evaluate) -> None:
    pairs = [(1124, 1000), (876, 1000), (1000, 1000), (1, 0), (2000, 1000), (10_004, 10_000), (10_006, 10_000)]
    expression = "return given.map((pair) => m.change(...pair)).map((one) => one && [one.text, one.direction])"
    assert evaluate("model/numbers.js", expression, pairs) == [
        ["+12\u202f%", 1],
        ["\u221212\u202f%", -1],
        ["±0.0\u202f%", 0],
        None,
        ["+100\u202f%", 1],
        ["±0.0\u202f%", 0],
        ["+0.1\u202f%", 1],
    ]


def test_hours_stand_in_their_week(evaluate: Evaluate) -> None:
    hours = [{"day_of_week": "Monday", "hour": 0}, {"day_of_week": "Sunday", "hour": 23}]
    expression = (
        "const week = m.weekOf(given); return [week.flatMap((day, at) => day.map((one, hour) => one && [at, hour]))"
        ".filter(Boolean), m.placeOf(given[1]), m.placeOf(null), m.brief(9999), m.brief(28400)]"
    )
    assert evaluate("model/week.js", expression, hours) == [[[0, 0], [6, 23]], [6, 23], None, "9\u202f999", "28k"]


def test_a_stream_goes_on_behind_its_last_event_and_ends_when_it_is_over(page: Page, evaluate: Evaluate) -> None:
    asked: list[str | None] = []

    def answer(route: Route) -> None:
        asked.append(route.request.headers.get("last-event-id"))
        told = [
            'retry: 2000\n\nid: 5-0\nevent: event\ndata: {"n":1}\n\n: a comment\n\nid: 6-0\nevent: ev',
            'id: 7-0\nevent: event\ndata: {"n":2}\n\nevent: end\ndata: {"code":"GONE"}\n\n',
        ]
        headers = {"Content-Type": "text/event-stream"}
        route.fulfill(body=told[len(asked) - 1], headers=headers)

    page.route(SITE + "/v1/made-up", answer)
    page.route(SITE + "/v1/closed", lambda route: route.fulfill(status=403, json={"error": {"code": "FORBIDDEN"}}))
    expression = (
        "const later = window.setTimeout;"
        " window.setTimeout = (work, ms) => later(work, ms === 1000 ? 0 : ms);"  # the wait before it is opened again
        " const [frames, states, stop] = [[], [], new AbortController()];"
        " const heard = { frame: ({ id, data }) => frames.push([id, data.n]),"
        "   state: ({ kind }) => states.push(kind) > 9 && stop.abort() };"
        " await m.follow(given, heard, stop.signal);"
        " window.setTimeout = later;"
        " return [frames, states]"
    )
    frames, states = evaluate("model/stream.js", expression, "/v1/made-up")
    assert frames == [["5-0", 1], ["7-0", 2]]
    assert states == ["connecting", "open", "cut", "open", "over"]
    assert asked == [None, "5-0"]
    assert evaluate("model/stream.js", expression, "/v1/closed") == [[], ["connecting", "failed"]]


def test_a_frame_is_whole_however_its_bytes_come(evaluate: Evaluate) -> None:
    expression = (
        "const pieces = [...given].map((one) => new TextEncoder().encode(one));"
        " const body = new ReadableStream({ pull: (to) => (pieces.length ? to.enqueue(pieces.shift()) : to.close()) });"
        " const fetched = window.fetch;"
        " window.fetch = async () => new Response(body);"
        " const [told, stop] = [[], new AbortController()];"
        " const heard = { frame: ({ id, event, data }) => told.push([id, event, data]),"
        "   state: ({ kind }) => kind === 'cut' && stop.abort() };"
        " try { await m.follow('/', heard, stop.signal) } finally { window.fetch = fetched }"
        " return told"
    )
    text = 'id: 1-0\nevent: counters\ndata: {"sent":\ndata: 1}\n\nid: 2-0\nevent: end\ndata: {}\n\n'
    assert evaluate("model/stream.js", expression, text) == [["1-0", "counters", {"sent": 1}]]


def test_how_sure_a_difference_is(evaluate: Evaluate) -> None:
    given = [
        ([1, 9], 0.0009, True), ([1, 9], 0.02, True), ([1, 9], 0.2, False), ([1, 9], 0.41, False),
        ([1, 9], None, False), ([0, 0], 0.02, True), ([3, 3], 1, False),
    ]  # fmt: skip
    expression = (
        "return given.map(([counts, p_value, is_significant]) =>"
        " m.sureness({ p_value, is_significant }, counts.map((successes) => ({ successes, trials: 10 }))))"
        ".map(({ kind, values }) => `${kind} ${values.n ?? ''}`.trim())"
    )
    told = ["very 1\u202f000", "sure 50", "unsure 5", "alike 4", "alone", "none", "equal"]
    assert evaluate("model/comparison.js", expression, given) == told


def test_much_less_mail_than_before_needs_attention(evaluate: Evaluate) -> None:
    expression = (
        "const of = (sent) => ({ sent, delivered: sent, hard_bounced: 0, soft_bounced: 0, complained: 0,"
        " unique_unsubscribed: 0 });"
        " return given.map(([now, before]) => m.findings(of(now), of(before), [], []).map(({ text }) => text))"
    )
    pairs = [(499, 1000), (500, 1000), (1, 199), (99, 200)]
    assert evaluate("model/attention.js", expression, pairs) == [["volume"], [], [], ["volume"]]


def test_what_is_asked_is_of_the_view_and_of_its_days_in_its_zone(evaluate: Evaluate) -> None:
    view = {
        "period": {"from": "2026-03-28", "to": "2026-03-29"}, "filters": {"campaign": ["a"]}, "zone": "Europe/Berlin",
    }  # fmt: skip
    expression = "const body = m.viewed(given, { filters: { domain: ['b'] } }); return [body.filters, m.windowOf(body)]"
    filters, window = evaluate("model/requests.js", expression, view)
    assert filters == {"campaign": ["a"], "domain": ["b"]}
    assert window == {"from": "2026-03-27T23:00:00.000Z", "to": "2026-03-29T22:00:00.000Z"}
    asked = (
        "return given.map(([text, session]) => m.viewOf(new URLSearchParams(text), session))"
        ".map(({ zone, who, filters }) => [zone, who, filters])"
    )
    berlin = {"timezone": "Europe/Berlin"}
    addresses = [
        ("zone=Asia/Tokyo&who=all&domain=a&domain=b&other=c", berlin), ("zone=Nowhere&who=nobody", berlin),
    ]  # fmt: skip
    assert evaluate("model/views.js", asked, addresses) == [
        ["Asia/Tokyo", "all", {"domain": ["a", "b"]}],
        ["Europe/Berlin", "proxies", {}],
    ]


def test_a_curve_leads_to_the_days_of_its_buckets_and_to_twice_as_many(evaluate: Evaluate) -> None:
    rows = [{"timestamp": f"2026-01-{day}T00:00:00Z"} for day in ("05", "12", "19")]
    view = {"period": {"first": "2026-01-07", "last": "2026-01-20", "days": 14}, "zone": "UTC"}
    expression = (
        "const days = (address) => ['from', 'to'].map((name) => new URL(address, location).searchParams.get(name));"
        " const zoom = m.zoomed(given.rows, given.view);"
        " const today = new Date().toISOString().slice(0, 10);"
        " const now = { zone: 'UTC', period: { first: today, last: today, days: 1 } };"
        " return [days(zoom(0, 0)), days(zoom(1, 2)), days(m.widened(given.view)), days(m.widened(now))[1] <= today]"
    )
    assert evaluate("model/curves.js", expression, {"rows": rows, "view": view}) == [
        ["2026-01-07", "2026-01-11"],
        ["2026-01-12", "2026-01-20"],
        ["2025-12-31", "2026-01-27"],
        True,
    ]


def test_a_filter_shows_what_fits_and_whatever_is_missing(evaluate: Evaluate) -> None:
    rows = [
        {"kind": "event", "event": {"type": kind, "verdict": verdict, "campaign": campaign}}
        for kind, verdict, campaign in (("opened", "human", "a"), ("opened", "machine", "a"), ("clicked", "human", "b"))
    ] + [{"kind": "gap"}]
    filters = [
        {"type": None, "verdict": None, "campaigns": []}, {"type": "opened", "verdict": None, "campaigns": []},
        {"type": None, "verdict": "human", "campaigns": []}, {"type": None, "verdict": None, "campaigns": ["b"]},
    ]  # fmt: skip
    expression = "return given.filters.map((one) => given.rows.map((row) => m.fits(row, one)))"
    assert evaluate("model/live.js", expression, {"rows": rows, "filters": filters}) == [
        [True, True, True, True],
        [True, True, False, True],
        [True, False, True, True],
        [False, False, True, True],
    ]


def test_ago_is_up_to_a_day(evaluate: Evaluate) -> None:
    expression = (
        "const now = Date.parse('2026-03-02T12:00:00Z');"
        " return given.map((hours) => m.ago(now - hours * 3600000, 'UTC', now))"
    )
    told = evaluate("model/times.js", expression, [0, 23.99, 24, -1])
    assert told == ["now", "23 hours ago", "1 Mar 2026, 12:00", "2 Mar 2026, 13:00"]


def test_a_bounce_of_no_kind_is_a_bounce(evaluate: Evaluate) -> None:
    given = [{"type": "bounced", "bounce_type": kind} for kind in (None, "hard")] + [{"type": "opened"}]
    told = evaluate("model/events.js", "return given.map(m.happened)", given)
    assert told == ["Bounced", "Bounced for good (hard)", "Opened"]
