(class_specifier name: (type_identifier) @name body: (_) @body) @definition.class
(namespace_definition name: (_) @name body: (_) @body) @definition.module
(function_definition
  declarator: [
    (function_declarator declarator: (field_identifier) @name)
    (_ (function_declarator declarator: (field_identifier) @name))
    (function_declarator declarator: [(destructor_name) (operator_name)] @name)
    (reference_declarator (function_declarator declarator: (identifier) @name))
  ]
  body: (_) @body) @definition.function
(function_definition
  declarator: [
    (function_declarator declarator: (qualified_identifier scope: (_) @parent name: (_) @name))
    (_ (function_declarator declarator: (qualified_identifier scope: (_) @parent name: (_) @name)))
  ]
  body: (_) @body) @definition.method
(field_declaration
  declarator: [
    (function_declarator declarator: (field_identifier) @name)
    (_ (function_declarator declarator: (field_identifier) @name))
  ]) @definition.method
(alias_declaration name: (type_identifier) @name) @definition.type
(template_declaration (_) @inner .) @extent
