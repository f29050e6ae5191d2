(compound_statement) @block
(field_declaration_list) @block
(enumerator_list) @block
(declaration_list) @block
(function_definition) @definition
(struct_specifier body: (_)) @definition
(union_specifier body: (_)) @definition
(enum_specifier body: (_)) @definition
