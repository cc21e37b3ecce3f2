import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import * as symbols from 'micromark-util-symbol'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

const server = 'http://127.0.0.1:8000'

type Tables = Record<string, Record<string, unknown>>

/** Puts the values of micromark's tables of constants in place of their names, as its own packages are built. */
const inlinedSymbols: Plugin = {
  name: 'inlined-symbols',
  transform: {
    filter: { id: /micromark-extension-cjk-friendly/ },
    handler: (code) =>
      code.replace(/\b(codes|constants|types)\.(\w+)/g, (_, table: string, name: string) => {
        const value = (symbols as unknown as Tables)[table]?.[name]
        if (value === undefined) throw new Error(`micromark-util-symbol has no ${table}.${name}.`)
        return JSON.stringify(value)
      }),
  },
}

export default defineConfig({
  // The server puts the path under which it is reached in front of what the page's index names.
  base: './',
  plugins: [react(), tailwindcss(), inlinedSymbols],
  resolve: {
    alias: {
      // The page reads Markdown and never writes it: the writing half of what reads it is left out.
      'mdast-util-to-markdown': '/src/conversation/markdown/unwritten.ts',
      '@ungap/structured-clone': '/src/conversation/markdown/cloning.ts',
      'decode-named-character-reference': '/src/conversation/markdown/references.ts',
    },
  },
  // The server puts the request's own nonce in place of this word.
  html: { cspNonce: '__TK_NONCE__' },
  build: {
    outDir: 'dist',
    // The content security policy allows no data: addresses for fonts and styles.
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    rolldownOptions: {
      // Scripts the browser keeps over releases: the libraries change less often than the page.
      output: {
        codeSplitting: {
          groups: [{ name: 'react', test: /node_modules\/(react|react-dom|scheduler|@tanstack)\// }],
        },
      },
    },
  },
  server: {
    // A test holds the documentation to the code.
    fs: { allow: ['.', '../docs/reference'] },
    proxy: {
      '/api': server,
      '/login': server,
      '/healthz': server,
      '/readyz': server,
    },
  },
  test: {
    environment: 'jsdom',
    include: ['src/**/*.test.{ts,tsx}'],
    setupFiles: ['./vitest.setup.ts'],
    // A test reads the style sheets.
    css: true,
    restoreMocks: true,
    unstubGlobals: true,
  },
})
