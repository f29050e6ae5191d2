/** The chat's page: what it may load and run, and nothing more. */

import { randomBytes } from 'node:crypto'

export interface Sources {
  readonly script: string
  readonly style: string
  /** Where the style may come from. */
  readonly origin: string
}

/** The page as HTML. Its script is the one with the nonce; nothing is fetched from anywhere else. */
export function page({ script, style, origin }: Sources, nonce = randomBytes(16).toString('base64url')): string {
  const policy = `default-src 'none'; style-src ${origin}; script-src 'nonce-${nonce}'`
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${style}">
<title>Kruk</title>
</head>
<body>
<main id="turns" role="log" aria-label="Conversation" tabindex="-1"></main>
<p id="said" role="status" aria-live="polite"></p>
<form id="form">
<textarea id="question" rows="1" placeholder="Ask about your code" aria-label="Question to Kruk" aria-describedby="keys"></textarea>
<div id="below">
<span id="keys">Enter sends</span>
<button id="send" type="submit">Send</button>
<button id="stop" type="button" hidden>Stop</button>
</div>
</form>
<script nonce="${nonce}" src="${script}"></script>
</body>
</html>
`
}
