-- From here on services have roles of their own (rights.py) and make partitions by functions: what says that
-- `postmeter migrate` has made these.
COMMENT ON TABLE migration IS 'postmeter_make_partition, postmeter_drop_partition';
