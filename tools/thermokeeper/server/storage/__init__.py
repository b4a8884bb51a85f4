"""What is kept: the tables and the database, firmware files. It knows no rule and no request."""
