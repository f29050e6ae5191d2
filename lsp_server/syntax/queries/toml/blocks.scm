(table) @definition
(table_array_element) @definition
