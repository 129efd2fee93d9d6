-- An endpoint can have millions of deliveries. They do not go with it in one statement any more, but in a job after
-- it; and to list those that were given up, or to make them again, no others are read.
alter table webhook_deliveries drop constraint webhook_deliveries_endpoint_id_fkey;
create index webhook_deliveries__dead on webhook_deliveries (endpoint_id, id desc) where state = 'dead';
