import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router'
import { BASE } from '../api/base'
import { ConversationPage } from '../conversation/ConversationPage'
import { placeIn } from '../search/asking'
import { HomePage } from './HomePage'
import { NotFound } from './NotFound'
import { PageFailed } from './PageFailed'
import { Shell } from './Shell'

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound })

const home = createRoute({ getParentRoute: () => root, path: '/', component: HomePage })

const conversation = createRoute({
  getParentRoute: () => root,
  path: '/c/$id',
  // A link may lead to one message, on whatever branch it stands.
  validateSearch: ({ message }): { message?: string | undefined } => ({
    message: typeof message === 'string' ? message : undefined,
  }),
  component: function OneConversation() {
    const { id } = conversation.useParams()
    const { message } = conversation.useSearch()
    // What is typed and where one reads belongs to the conversation, not to the page.
    return <ConversationPage key={id} id={id} messageId={message ?? null} />
  },
})

const search = createRoute({
  getParentRoute: () => root,
  path: '/search',
  validateSearch: placeIn,
  component: lazyRouteComponent(() => import('../search/SearchPage'), 'SearchPage'),
})

const archive = createRoute({
  getParentRoute: () => root,
  path: '/archive',
  component: lazyRouteComponent(() => import('../putting/PutAwayPage'), 'ArchivePage'),
})

const trash = createRoute({
  getParentRoute: () => root,
  path: '/trash',
  component: lazyRouteComponent(() => import('../putting/PutAwayPage'), 'TrashPage'),
})

const storage = createRoute({
  getParentRoute: () => root,
  path: '/storage',
  component: lazyRouteComponent(() => import('../storage/StoragePage'), 'StoragePage'),
})

const settings = createRoute({
  getParentRoute: () => root,
  path: '/settings',
  component: lazyRouteComponent(() => import('../settings/SettingsPage'), 'SettingsPage'),
})

export const router = createRouter({
  routeTree: root.addChildren([home, conversation, search, archive, trash, storage, settings]),
  defaultPreload: false,
  // A page that breaks leaves the rail alone.
  defaultErrorComponent: PageFailed,
  basepath: BASE || '/',
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
