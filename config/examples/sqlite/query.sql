-- The writing systems of Unicode 15: how many characters each has, in which year its first and its largest part came,
-- which block holds most of it, and its rank among all of them.
CREATE TABLE versions(version TEXT, year INTEGER);
INSERT INTO versions VALUES
  ('1.1', 1993), ('2.0', 1996), ('2.1', 1998), ('3.0', 1999), ('3.1', 2001), ('3.2', 2002), ('4.0', 2003), ('4.1', 2005), ('5.0', 2006),
  ('5.1', 2008), ('5.2', 2009), ('6.0', 2010), ('6.1', 2012), ('6.2', 2012), ('6.3', 2013), ('7.0', 2014), ('8.0', 2015), ('9.0', 2016),
  ('10.0', 2017), ('11.0', 2018), ('12.0', 2019), ('12.1', 2019), ('13.0', 2020), ('14.0', 2021), ('15.0', 2022);

-- one row a character
CREATE TABLE characters AS
  WITH RECURSIVE expanded(code, last, script, category) AS (
    SELECT first, last, script, category FROM scripts
    UNION ALL
    SELECT code + 1, last, script, category FROM expanded WHERE code < last)
  SELECT code, script, category FROM expanded;
CREATE UNIQUE INDEX by_code ON characters(code);
CREATE INDEX by_block ON blocks(first);
CREATE INDEX by_age ON ages(first);

CREATE TABLE placed AS
  SELECT c.code, c.script, c.category,
    (SELECT b.block FROM blocks b WHERE b.first <= c.code ORDER BY b.first DESC LIMIT 1) AS block,
    -- CSV knows no types: 1.1 came in as a number
    (SELECT printf('%.1f', a.version) FROM ages a WHERE a.first <= c.code ORDER BY a.first DESC LIMIT 1) AS version
  FROM characters c WHERE c.script NOT IN ('Common', 'Inherited');

CREATE TABLE per_block AS
  SELECT script, block, row_number() OVER (PARTITION BY script ORDER BY count(*) DESC, block) AS place FROM placed GROUP BY script, block;
CREATE TABLE per_year AS
  SELECT script, year, row_number() OVER (PARTITION BY script ORDER BY count(*) DESC, year) AS place
  FROM placed JOIN versions USING (version) GROUP BY script, year;

SELECT rank() OVER (ORDER BY count(*) DESC) AS rank, p.script, count(*) AS characters,
  sum(p.category LIKE 'L%') AS letters, sum(p.category = 'Nd') AS digits,
  (SELECT min(year) FROM per_year y WHERE y.script = p.script) AS since,
  (SELECT year FROM per_year y WHERE y.script = p.script AND y.place = 1) AS mostly_since,
  (SELECT block FROM per_block b WHERE b.script = p.script AND b.place = 1) AS largest_block
FROM placed p GROUP BY p.script ORDER BY rank, p.script;
