/* SPDX-License-Identifier: Apache-2.0
 *
 * routes.h: which request goes where, on the grid port and on the admin port.
 */
#ifndef COORDINATOR_ROUTES_H
#define COORDINATOR_ROUTES_H

#include "common/dialback.h"
#include "common/httpd.h"
#include "coordinator/coord.h"

struct spread;

struct door {
	struct coord *c;
	const char *token; /* of the admin port; NULL: none is asked for */
	struct dialback *dialback; /* of the grid port */
	struct spread *spread; /* of the grid port */
};

extern const struct route grid_routes[], admin_routes[], web_routes[];
extern const size_t n_grid_routes, n_admin_routes, n_web_routes;

#endif
