/* Client eviction (maxmemory-clients): when the memory of all clients is above the limit, the largest are disconnected, except
 * those that said CLIENT NO-EVICT ON. Looked at from the periodic work. Thread: loop. */
#ifndef CMD_CLIENT_EVICT_H
#define CMD_CLIENT_EVICT_H

void client_evict_settings(void);
void client_evict_tick(void);

#endif
