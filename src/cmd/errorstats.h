/* How many error replies of each kind (the first word: ERR, WRONGTYPE, ...) there were: INFO errorstats. Thread: loop. */
#ifndef CMD_ERRORSTATS_H
#define CMD_ERRORSTATS_H

void errorstats_boot(void);
void errorstats_reset(void); /* CONFIG RESETSTAT */

#endif
