import './ui/base.css'
import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { BASE, isOutside } from './api/base'
import { queryClient } from './api/queryClient'
import { adoptNonce } from './app/nonce'
import { router } from './app/router'
import { keepComposingFromPage } from './keyboard/composing'

adoptNonce()
keepComposingFromPage()

const page = document.getElementById('page')
if (isOutside(location.pathname)) {
  location.replace(BASE + location.pathname + location.search + location.hash)
} else if (page !== null) {
  createRoot(page).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  )
}
