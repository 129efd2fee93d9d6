-- Of living sessions only, this index could stand in for the primary key: a database without statistics, as a new
-- one is, then read all of it to find one session by its id.
drop index sessions__user;
create index sessions__user on sessions (user_id);
