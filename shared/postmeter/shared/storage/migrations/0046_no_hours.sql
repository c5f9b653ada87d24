-- Messages and links are counted by the hour no more (ADR 0069): quarter-hours answer what hours did. Months of which hours alone
-- are kept, where POSTMETER_RETAIN_HOURS is longer than that of quarter-hours: 0047 makes quarter-hours of them.
CREATE TABLE hours_alone AS
SELECT relname::text AS hours FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent IN ('link_activity_1h'::regclass, 'cohort_created_1h'::regclass, 'cohort_sent_1h'::regclass)
    AND to_regclass(replace(relname, '_1h_', '_15m_')) IS NULL;
