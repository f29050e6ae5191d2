(statement) @definition
