/* SPDX-License-Identifier: MIT */
/* The device's thread interface to the registers; see device_internal.h for who may touch what. */
#ifndef SIM_CORE_REGISTERS_H
#define SIM_CORE_REGISTERS_H

#include <stdint.h>

struct device;

/* Reset values, but for what is fixed and for counters. Called with the lock held. */
void registers_reset(struct device *device);

#endif
