-- The index on full names is partial, so the planner does not use its statistics: without these it takes every
-- beginning of a name for that of one user in two hundred.
create statistics users__full_name on (lower(full_name)) from users;
