import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router'
import { ConversationPage } from '../conversation/ConversationPage'
import { HomePage } from './HomePage'
import { NotFound } from './NotFound'
import { Shell } from './Shell'

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound })

const home = createRoute({ getParentRoute: () => root, path: '/', component: HomePage })

const conversation = createRoute({
  getParentRoute: () => root,
  path: '/c/$id',
  component: function OneConversation() {
    const { id } = conversation.useParams()
    // What is typed and where one reads belongs to the conversation, not to the page.
    return <ConversationPage key={id} id={id} />
  },
})

const settings = createRoute({
  getParentRoute: () => root,
  path: '/settings',
  component: lazyRouteComponent(() => import('../settings/SettingsPage'), 'SettingsPage'),
})

export const router = createRouter({
  routeTree: root.addChildren([home, conversation, settings]),
  defaultPreload: false,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
