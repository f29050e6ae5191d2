;; What a user's init.el holds for Kruk in Eglot (docs/editors/emacs.md). The test sets KRUK_TEST_CONTACT, as Lisp.
(require 'eglot)
(add-to-list 'auto-mode-alist '("\\.md\\'" . text-mode))
(add-to-list 'eglot-server-programs
             `((python-mode (text-mode :language-id "markdown")) . ,(read (getenv "KRUK_TEST_CONTACT"))))
(add-hook 'python-mode-hook #'eglot-ensure)
(add-hook 'text-mode-hook #'eglot-ensure)
(define-key eglot-mode-map (kbd "C-c a") #'eglot-code-actions)

;; So that the test can look into the buffers.
(setq inhibit-startup-screen t make-backup-files nil auto-save-default nil create-lockfiles nil)
(setq server-socket-dir (getenv "HOME") server-name "look")
(require 'server)
(server-start)
