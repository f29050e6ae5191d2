(import_statement source: (string (string_fragment) @module)) @import
(import_statement (import_clause (identifier) @default) source: (string (string_fragment) @module)) @import
(import_statement
  (import_clause (namespace_import (identifier) @alias)) source: (string (string_fragment) @module)) @import
(import_statement
  (import_clause (named_imports (import_specifier name: (_) @name !alias)))
  source: (string (string_fragment) @module)) @import
(import_statement
  (import_clause (named_imports (import_specifier name: (_) @name alias: (_) @alias)))
  source: (string (string_fragment) @module)) @import
(export_statement
  (export_clause (export_specifier name: (_) @name !alias))
  source: (string (string_fragment) @module)) @import
(export_statement
  (export_clause (export_specifier name: (_) @name alias: (_) @alias))
  source: (string (string_fragment) @module)) @import
(export_statement "*" @name source: (string (string_fragment) @module)) @import
((variable_declarator
  name: (identifier) @alias
  value: (call_expression
    function: (identifier) @receiver
    arguments: (arguments . (string (string_fragment) @module)))) @import
  (#set! receiver "require"))
((variable_declarator
  name: (object_pattern (shorthand_property_identifier_pattern) @name)
  value: (call_expression
    function: (identifier) @receiver
    arguments: (arguments . (string (string_fragment) @module)))) @import
  (#set! receiver "require"))
