/** The library of the client, a bundle of its own: reading it takes most of the time to start. */

export * from 'vscode-languageclient/node'
