(object) @block
(pair value: (object)) @definition
