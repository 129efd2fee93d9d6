-- Numbers that were stored with the trunk prefix of their country (+44 0 20 …) reach nobody: it goes. Countries
-- whose numbers may begin with 0 are left alone. See lib/phone.ts.
create function without_trunk_prefix(number text) returns text language sql immutable as $$
  select regexp_replace(
    regexp_replace(number, '^\+3606(?=[1-9]\d{3})', '+36'),
    '^\+(?!36|39|225|229|241|242|378|379)'
      '(1|7|2[07]|3[0-4]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]'
      '|2[1-689]\d|3[578]\d|42\d|5[09]\d|6[7-9]\d|8[035789]\d|9[679]\d)0(?=[1-9]\d{4})',
    '+\1')
$$;

update second_factors set phone_number = without_trunk_prefix(phone_number)
where phone_number <> without_trunk_prefix(phone_number);

-- Where somebody else has the right form already, the wrong one goes: a number is one person's.
update users u set
  phone_number = nullif(without_trunk_prefix(u.phone_number), o.phone_number),
  phone_verified_at = case when o.id is null then u.phone_verified_at end
from users w left join users o on o.phone_number = without_trunk_prefix(w.phone_number)
where u.id = w.id and w.phone_number <> without_trunk_prefix(w.phone_number);

drop function without_trunk_prefix(text);
