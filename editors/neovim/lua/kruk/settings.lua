---@meta
-- Written by scripts/generate.py from lsp_server/settings.py.

---@class kruk.Settings
---@field model? string Model for completions: an id from `kruk models list`, or the path of a GGUF file. Empty: the one chosen by `kruk models use`, else the default model.
---@field chatModel? string Model for explanations and chat. Has no effect yet: they use `model`, when that is an instruct model.
---@field completion? kruk.Settings.completion
---@field context? kruk.Settings.context
---@field threads? integer Processor threads for the model; 0 chooses.
---@field contextSize? integer Tokens that the KV cache can hold. More needs more memory.
---@field answerLanguage? string Language of explanations and chat, such as `pl`. Empty: the question's.
---@field logLevel? 'error'|'warning'|'info'|'debug' How much is written to stderr and to the editor's log.

---@class kruk.Settings.completion
---@field enabled? boolean Suggest completions.
---@field debounceMs? integer Milliseconds of rest after a keystroke before an automatic suggestion is worked on.
---@field maxTokens? integer Longest suggestion, in tokens.
---@field multiline? 'auto'|'always'|'never' `auto` decides from the syntax tree between one line and a block; `always` and `never` fix it.
---@field minConfidence? integer Keep back what was not asked for by hand when the model gives its first line less than so many percent; 0 shows everything.
---@field disabledLanguages? string[] Language identifiers in which nothing is suggested.
---@field excludeGlobs? string[] Files that are never read or completed: secrets first of all. Replaces the default list.

---@class kruk.Settings.context
---@field enabled? boolean Show the model pieces of the project's other files, too.
---@field budgetTokens? integer Most tokens of the file around the cursor (and of what else is shown) given to the model.
