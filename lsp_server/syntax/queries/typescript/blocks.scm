(interface_body) @block
(enum_body) @block
(object_type) @block
(abstract_class_declaration) @definition
(interface_declaration) @definition
(enum_declaration) @definition
(type_alias_declaration) @definition
