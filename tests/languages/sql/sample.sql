-- A shelf of books, żółw and 🐢 among them; don't count "this.
CREATE TABLE shelf (
  id INTEGER PRIMARY KEY,
  title VARCHAR(200) NOT NULL,
  pages INTEGER DEFAULT 0
);

CREATE INDEX shelf_title ON shelf (title);

/* Two books. */
INSERT INTO shelf (id, title, pages)
VALUES (1, 'string_here', 10), (2, 'it''s', 20); -- comment_here

SELECT code_here.title, COUNT(*) AS n, SUM(code_here.pages) AS longest
FROM shelf AS code_here
LEFT JOIN author ON author.id = code_here.id
WHERE code_here.pages > 10 AND code_here.title LIKE 'a%'
GROUP BY code_here.title
HAVING COUNT(*) > 1
ORDER BY longest DESC
LIMIT 10;

UPDATE shelf SET pages = pages + 1 WHERE id IN (1, 2);
