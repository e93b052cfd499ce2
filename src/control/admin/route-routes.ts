/** `/routes`: which requests are for which pool, or what is done with them else. */
import { routeOf } from '../../config/effective/effective-route.ts';
import { poolsOf } from '../../config/effective/effective-route-action.ts';
import type { RouteSettings } from '../../config/settings.ts';
import type { Registry } from '../registry.ts';
import { routesInForce } from './answers.ts';
import { etagOf } from './etag.ts';
import { answer } from './form.ts';
import type { Route } from './router.ts';

export function routeRoutes(registry: Registry): Route[] {
  return [
    {
      path: '/routes',
      summary: 'which requests are for which pool, and what is done with them',
      methods: {
        GET: {
          says: 'the routes',
          answers: { 200: answer('In the order of the config.', routesInForce) },
          handle: () => ({
            status: 200,
            body: registry.settings.routes.map(viewRoute),
            headers: { ETag: etagOf(registry) },
          }),
        },
      },
    },
  ];
}

/** The field names are an interface: see docs. */
function viewRoute(route: RouteSettings): object {
  return { name: route.name, pools: poolsOf(route), config: routeOf(route) };
}
