---@meta
-- Written by scripts/generate.py from lsp_server/settings.py.

---@class kruk.Settings
---@field model? string Model for completions: an id from `kruk models list`, or the path of a GGUF file. Empty: the one chosen by `kruk models use`, else the default model.
---@field chatModel? string Model for actions and chat, loaded beside `model` when one is first asked for. Empty: `model`, which must then be an instruct model.
---@field draftModel? string Small model of the same vocabulary that drafts what the model says, where `kruk doctor --draft-model` has measured that this is faster. Empty: none.
---@field completion? kruk.Settings.completion
---@field context? kruk.Settings.context
---@field threads? integer Processor threads for the model; 0 chooses.
---@field contextSize? integer Tokens that the KV cache can hold. More needs more memory.
---@field remote? kruk.Settings.remote
---@field adapters? string[] LoRA adapters for the model: paths of GGUF files that were trained for it, each with `@` and a scale behind it where that is not 1, such as `~/ours.gguf@0.5`. A server's model has its own.
---@field endpoint? kruk.Settings.endpoint
---@field answerLanguage? string Language of explanations and chat, such as `pl`. Empty: the question's.
---@field logLevel? 'error'|'warning'|'info'|'debug' How much is written to stderr and to the editor's log.

---@class kruk.Settings.completion
---@field enabled? boolean Suggest completions.
---@field debounceMs? integer Milliseconds of rest after a keystroke before an automatic suggestion is worked on.
---@field maxTokens? integer Longest suggestion, in tokens.
---@field multiline? 'auto'|'always'|'never' `auto` decides from the syntax tree between a line, a statement and a block; `always` and `never` fix it.
---@field minConfidence? integer Keep back what was not asked for by hand when the model gives its first line less than so many percent; 0 shows everything.
---@field disabledLanguages? string[] Language identifiers in which nothing is suggested.
---@field excludeGlobs? string[] Files that are never read or completed: secrets first of all. Replaces the default list.

---@class kruk.Settings.context
---@field enabled? boolean Show the model pieces of the project's other files, too.
---@field budgetTokens? integer Most tokens of the file around the cursor (and of what else is shown) given to the model.

---@class kruk.Settings.remote
---@field url? string Address of a server that runs the model instead of Kruk: llama.cpp's, Ollama, LM Studio, vLLM, or another that speaks OpenAI's protocol. Such as `http://127.0.0.1:8080`. Nothing but this address is contacted.
---@field kind? 'auto'|'llama.cpp'|'ollama'|'openai' What that server is; `auto` asks it.
---@field model? string Which of the server's models. Empty: the only one that it has.
---@field family? string Family in models.json whose format for filling in the middle that model has, such as `qwen2.5-coder`. Empty: by its name; if that says nothing, the server has to know how.
---@field allowNonLocal? boolean Allow an address that is not on this machine. The text around the cursor, and what is asked in chat with all that it mentions, is then sent there.
---@field keyFile? string File with the server's key. Empty: the environment variable `KRUK_REMOTE_KEY`, if there is one.
---@field patience? integer Seconds that the server may say nothing before Kruk gives an answer up.

---@class kruk.Settings.endpoint
---@field port? integer Port on 127.0.0.1 where suggestions are given over HTTP too, to editors and plugins that ask a completions endpoint; 0: none.
