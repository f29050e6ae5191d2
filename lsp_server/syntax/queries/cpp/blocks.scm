(class_specifier body: (_)) @definition
(namespace_definition) @definition
