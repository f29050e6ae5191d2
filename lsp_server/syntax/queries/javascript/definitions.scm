(function_declaration name: (identifier) @name body: (_) @body) @definition.function
(generator_function_declaration name: (identifier) @name body: (_) @body) @definition.function
(class_declaration name: (_) @name body: (class_body) @body) @definition.class
(class_body (method_definition name: (_) @name body: (_) @body) @definition.method)
(object (method_definition name: (_) @name body: (_) @body) @definition.method)
(class_body (_ property: (_) @name) @definition.field)
((assignment_expression left: (member_expression object: (this) property: (property_identifier) @name))
  @definition.field)
(lexical_declaration
  (variable_declarator
    name: (identifier) @name
    value: [(arrow_function body: (_) @body) (function_expression body: (_) @body)])) @definition.function
(expression_statement
  (assignment_expression
    left: (member_expression object: (_) @receiver property: (property_identifier) @name)
    right: [(arrow_function body: (_) @body) (function_expression body: (_) @body)])
  (#set! receiver "exports|module.exports")) @definition.function
(program (lexical_declaration (variable_declarator name: (identifier) @name)) @definition.constant)
(program (variable_declaration (variable_declarator name: (identifier) @name)) @definition.constant)
(program
  (export_statement (lexical_declaration (variable_declarator name: (identifier) @name)) @definition.constant))
(export_statement declaration: (_) @inner) @extent
