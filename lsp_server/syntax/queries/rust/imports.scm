(use_declaration argument: (_) @module) @import
(mod_item name: (identifier) @module !body) @import
