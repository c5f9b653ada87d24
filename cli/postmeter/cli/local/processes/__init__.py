"""The processes that `postmeter up` starts: none outlives it, and each that dies is started again."""
