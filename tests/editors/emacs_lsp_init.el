;; What a user's init.el holds for Kruk in lsp-mode (docs/editors/emacs.md). The test sets KRUK_TEST_CONTACT, as Lisp,
;; and KRUK_TEST_PACKAGES, the folder of lsp-mode and what it needs.
(dolist (folder (directory-files (getenv "KRUK_TEST_PACKAGES") t "\\`[^.]"))
  (add-to-list 'load-path folder))
(load "lsp-mode-autoloads")
(require 'lsp-mode)
(lsp-register-client
 (make-lsp-client :new-connection (lsp-stdio-connection (read (getenv "KRUK_TEST_CONTACT")))
                  :activation-fn (lambda (&rest _) t)
                  :add-on? t :multi-root t :priority -1 :server-id 'kruk
                  :notification-handlers (ht ("kruk/didChangeStatus" #'ignore))))
(add-hook 'python-mode-hook #'lsp)
(define-key lsp-mode-map (kbd "C-c a") #'lsp-execute-code-action)
(setq lsp-inline-completion-idle-delay 0.3) ; these two are for lsp-mode 10
(with-eval-after-load 'lsp-inline-completion
  (define-key lsp-inline-completion-active-map (kbd "TAB") #'lsp-inline-completion-accept))

;; So that nothing is asked, and the test can look into the buffers.
(setq lsp-auto-guess-root t lsp-enabled-clients '(kruk) lsp-session-file (expand-file-name "lsp" (getenv "HOME")))
(setq inhibit-startup-screen t make-backup-files nil auto-save-default nil create-lockfiles nil)
(setq server-socket-dir (getenv "HOME") server-name "look")
(require 'server)
(server-start)
