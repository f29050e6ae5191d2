" What a user's vimrc holds for Kruk in ALE (docs/editors/vim.md). The test sets KRUK_TEST_COMMAND.
set nocompatible
filetype plugin on
packadd! ale
let g:ale_linters = {'python': ['kruk'], 'markdown': ['kruk']}
let g:ale_lsp_show_message_severity = 'information'
let g:ale_completion_enabled = 1
let s:kruk = {'name': 'kruk', 'lsp': 'stdio', 'executable': $KRUK_TEST_PYTHON, 'command': $KRUK_TEST_COMMAND}
let s:kruk.project_root = {buffer -> fnamemodify(ale#path#FindNearestDirectory(buffer, '.git'), ':h:h')}
if $KRUK_TEST_MODEL != ''
  let s:kruk.initialization_options = {'model': $KRUK_TEST_MODEL}
endif
call ale#linter#Define('python', s:kruk)
call ale#linter#Define('markdown', s:kruk)

" So that the test can look into the buffer.
set noswapfile viminfo= cmdheight=4
call timer_start(100, {-> writefile(getline(1, '$'), $KRUK_TEST_LOOK)}, {'repeat': -1})
