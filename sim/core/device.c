/* SPDX-License-Identifier: MIT */
/* The device's life, its thread, doorbells and interrupts. See device.h; registers are in registers.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "sim/core/device_internal.h"
#include "sim/core/registers.h"

/* Nothing tells the device that a word which a WAIT packet looks at has changed: it looks again after this. */
#define WAIT_POLL_NS 50000

static uint64_t now_ns(const struct device *device)
{
	struct timespec time;

	if (device_is_clocked(device))
		return device->ops->now(device->opaque);
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void pause_cpu(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/* ---- interrupts ---- */

void device_interrupt(struct device *device, unsigned int vector, uint32_t cause, uint64_t contexts)
{
	bool raise;

	pthread_mutex_lock(&device->lock);
	device->irq_cause |= cause;
	device->irq_contexts |= contexts;
	device->irq_pending |= 1u << vector;
	raise = !(device->irq_mask >> vector & 1);
	pthread_mutex_unlock(&device->lock);
	if (raise)
		device->ops->irq(device->opaque, vector);
}

/* ---- commands and resets, on the device's thread ---- */

/* Queues and contexts, and with them every pointer into host memory. Nothing is published: who reads it is gone. */
static void drop_host_memory(struct device *device)
{
	for (unsigned int q = 0; q < device->num_live; q++) {
		queue_abandon(&device->queues[q]);
		device->queues[q] = (struct queue){0};
	}
	device->num_live = 0;
	for (unsigned int c = 0; c < AXL_MAX_CONTEXTS; c++) {
		device->contexts[c].valid = false;
		mmu_attach(&device->mmu, c, 0);
	}
	engine_scrub(device->engine);
	device->tile_context = AXL_MAX_CONTEXTS;
}

void device_reset(struct device *device)
{
	drop_host_memory(device);
	device->answer_at = 0;
	device->packets = device->doorbells = device->faults = device->tlb_misses = 0;
	device->busy = device->dram_bytes = device->host_bytes = 0;
	for (int p = 0; p < AXL_NUM_PIPES; p++)
		device->pipes[p] = 0;
	pthread_mutex_lock(&device->lock);
	registers_reset(device);
	/* A reset that was asked for meanwhile would take what is written after READY. */
	device->ready = !device->ready_at && !(atomic_load(&device->attention) & ATTENTION_RESET);
	pthread_mutex_unlock(&device->lock);
}

/* How long the reset that comes takes. */
static void time_reset(struct device *device)
{
	uint64_t delay = 0;

	device->ready_at = 0;
	if (device_fault(device, DEVICE_SITE_RESET, 0, &delay))
		device->ready_at = delay == ~0ull ? ~0ull : now_ns(device) + delay * 1000;
}

static void end_slow_reset(struct device *device)
{
	if (!device->ready_at || now_ns(device) < device->ready_at)
		return;
	device->ready_at = 0;
	pthread_mutex_lock(&device->lock);
	/* Unless another reset was asked for meanwhile. */
	device->ready = !(atomic_load(&device->attention) & ATTENTION_RESET);
	pthread_mutex_unlock(&device->lock);
}

/* The command has ended: whoever waits for the mailbox goes on. */
static void answer(struct device *device, uint32_t result)
{
	pthread_mutex_lock(&device->lock);
	device->command_result = result;
	device->command_busy = 0;
	pthread_mutex_unlock(&device->lock);
	device_interrupt(device, 0, AXL_IRQ_COMMAND, 0);
}

static void end_slow_command(struct device *device)
{
	if (!device->answer_at || now_ns(device) < device->answer_at)
		return;
	device->answer_at = 0;
	answer(device, device->answer);
}

/* Not while it is paused: it waits. */
static void run_command(struct device *device)
{
	enum axl_command command;
	uint64_t arg, value = 0;
	uint32_t result;

	if (device->pause) {
		atomic_fetch_or(&device->attention, ATTENTION_COMMAND);
		return;
	}
	pthread_mutex_lock(&device->lock);
	command = (enum axl_command)device->command;
	arg = device->command_arg;
	pthread_mutex_unlock(&device->lock);
	result = device_command(device, command, arg);
	if (device_fault(device, DEVICE_SITE_RESULT, 0, &value))
		result = (uint32_t)value;
	if (device_fault(device, DEVICE_SITE_ANSWER, 0, &value)) {
		device->answer = result;
		device->answer_at = now_ns(device) + value * 1000;
		return;
	}
	answer(device, result);
}

static void revoke(struct device *device)
{
	unsigned int wanted = atomic_load(&device->revokes_wanted);

	drop_host_memory(device);
	/* Pairs with the load of device_revoked(): every access came before. */
	atomic_store(&device->revokes_done, wanted);
}

/* The status page of @context is where it is now; without one its queues can tell nobody anything. */
static void find_status_page(struct device *device, unsigned int number)
{
	struct context *context = &device->contexts[number];
	struct axl_status_page *page = device->ops->map(device->opaque, context->status_address, sizeof(*page), true);

	for (unsigned int q = 0; q < device->num_live; q++) {
		struct queue *queue = &device->queues[q];

		if (queue->desc.context != number || queue->state == AXL_QUEUE_OFF)
			continue;
		if (page) {
			queue->status = &page->queue[queue->desc.slot];
			continue;
		}
		if (device->running == queue) {
			device->verdict = VERDICT_DROP;
			queue->execution = NULL;
		}
		queue_abandon(queue);
		queue->state = AXL_QUEUE_OFF;
	}
	context->status = (uint8_t *)page;
	context->valid = page != NULL;
}

static void refresh(struct device *device)
{
	unsigned int wanted = atomic_load(&device->revokes_wanted);

	for (unsigned int c = 0; c < AXL_MAX_CONTEXTS; c++) {
		mmu_forget(&device->mmu, c);
		mmu_invalidate(&device->mmu, c);
	}
	/*
	 * Pairs with the load of device_revoked(). The status pages are not touched before they have been found again,
	 * which takes the main loop: it must not wait for that.
	 */
	atomic_store(&device->revokes_done, wanted);
	for (unsigned int c = 0; c < AXL_MAX_CONTEXTS; c++)
		if (device->contexts[c].valid)
			find_status_page(device, c);
}

void device_attend(struct device *device)
{
	unsigned int wants = atomic_load_explicit(&device->attention, memory_order_relaxed);

	if (!wants)
		return;
	/* In one step: an exchange would lose a QUIT that comes after the look. */
	wants = atomic_fetch_and(&device->attention, ATTENTION_QUIT);
	/* The engine is inside one of the queues that go: it comes back first. */
	if (wants & (ATTENTION_RESET | ATTENTION_REVOKE) && device->running) {
		device->verdict = VERDICT_DROP;
		device->running->execution = NULL;
		atomic_fetch_or(&device->attention, wants);
		return;
	}
	if (wants & ATTENTION_REVOKE)
		revoke(device);
	else if (wants & ATTENTION_REFRESH)
		refresh(device);
	if (wants & ATTENTION_RESET) {
		/* Takes a command that waited with it. */
		time_reset(device);
		device_reset(device);
	} else if (wants & ATTENTION_COMMAND) {
		run_command(device);
	}
}

/* ---- standing still ---- */

void device_wake(struct device *device)
{
	if (device_is_clocked(device))
		device->ops->wake(device->opaque);
	else
		pthread_cond_signal(&device->wake);
}

void device_park(struct device *device)
{
	const unsigned int urgent = ATTENTION_QUIT | ATTENTION_RESET | ATTENTION_REVOKE | ATTENTION_REFRESH;

	pthread_mutex_lock(&device->lock);
	while (device->pause && !(atomic_load(&device->attention) & urgent)) {
		/* Pairs with the load of device_paused(): every access came before. */
		device->parked = true;
		pthread_cond_wait(&device->wake, &device->lock);
	}
	device->parked = false;
	pthread_mutex_unlock(&device->lock);
}

/* What was asked for makes all that has not ended yet void, or the device is to end. */
static bool is_interrupted(struct device *device)
{
	return (device->running && device->verdict != VERDICT_NONE) || atomic_load(&device->attention) & ATTENTION_QUIT;
}

void device_pace(struct device *device)
{
	uint64_t cycles = device->cycles + schedule_uncharged(device), until;

	if (!device_is_clocked(device) || cycles <= device->paced_cycles || is_interrupted(device))
		return;
	until = device->paced_ns + ((cycles - device->paced_cycles) * 1000000 + device->config.engine.clock_khz - 1) /
					   device->config.engine.clock_khz;
	do {
		/* Even a device that is late lets the host have its turn. */
		device->ops->sleep(device->opaque, until);
		device_attend(device);
	} while (!is_interrupted(device) && now_ns(device) < until);
	device->paced_ns = until;
	device->paced_cycles = cycles;
}

/* ---- the work loop ---- */

bool device_enabled(struct device *device)
{
	bool enable;

	pthread_mutex_lock(&device->lock);
	enable = device->ready && device->control & AXL_CONTROL_ENABLE;
	pthread_mutex_unlock(&device->lock);
	return enable;
}

static bool pass(struct device *device)
{
	bool moved;

	device_attend(device);
	end_slow_reset(device);
	end_slow_command(device);
	if (!device_enabled(device))
		return false;
	moved = queue_front_pass(device);
	return schedule_execute(device) || moved;
}

/* Not while it fetches nothing: a queue whose owner thinks it awake would get no doorbell before it does again. */
static void disarm_events(struct device *device)
{
	if (device_enabled(device))
		queue_disarm_events(device);
}

bool device_run(struct device *device, unsigned int passes)
{
	bool moved = true;

	device_attend(device);
	disarm_events(device);
	device->idle = false;
	while (passes-- && moved)
		moved = pass(device) || atomic_load(&device->attention);
	if (!moved && device_enabled(device))
		moved = queue_arm_events(device);
	device->idle = !moved && queue_all_idle(device);
	return moved;
}

/* Until attention, or until it is time to look at memory again. */
static void sleep_for_attention(struct device *device, bool poll)
{
	struct timespec until;
	uint64_t when = now_ns(device) + WAIT_POLL_NS;

	if (device_is_clocked(device)) {
		if (!atomic_load(&device->attention))
			device->ops->sleep(device->opaque, poll ? when : UINT64_MAX);
		device->paced_ns = now_ns(device);
		device->paced_cycles = device->cycles;
		return;
	}
	pthread_mutex_lock(&device->lock);
	if (poll) {
		until.tv_sec = (time_t)(when / 1000000000u);
		until.tv_nsec = (long)(when % 1000000000u);
		if (!atomic_load(&device->attention))
			pthread_cond_timedwait(&device->wake, &device->lock, &until);
	} else {
		while (!atomic_load(&device->attention))
			pthread_cond_wait(&device->wake, &device->lock);
	}
	pthread_mutex_unlock(&device->lock);
}

void device_main(struct device *device)
{
	/* The host's clock does not go on while somebody spins. */
	uint64_t spin_ns = device_is_clocked(device) ? 0 : device->config.spin_us * 1000ull, last_work = 0;
	bool armed = false;

	while (!(atomic_load(&device->attention) & ATTENTION_QUIT)) {
		bool attention = atomic_load_explicit(&device->attention, memory_order_relaxed);

		if (device->pause) {
			device_park(device);
			device_attend(device);
			continue;
		}
		device->idle = false;
		device_attend(device);
		if (attention && armed) {
			disarm_events(device);
			armed = false;
			last_work = now_ns(device);
		}
		if (pass(device)) {
			/* A WAIT came true while asleep: the event index is old now. */
			if (armed)
				queue_disarm_events(device);
			armed = false;
			last_work = now_ns(device);
			continue;
		}
		if (now_ns(device) - last_work < spin_ns) {
			pause_cpu();
			continue;
		}
		if (!armed) {
			armed = true;
			/* Pairs with the producers' full barrier: a packet is seen here, or its producer sees the
			 * event. */
			if (device_enabled(device) && queue_arm_events(device)) {
				queue_disarm_events(device);
				armed = false;
				continue;
			}
		}
		device->idle = queue_all_idle(device);
		sleep_for_attention(device, device->answer_at || (device->ready_at && device->ready_at != ~0ull) ||
						    (device_enabled(device) && queue_waits_for_memory(device)));
	}
}

static void *thread_main(void *arg)
{
	device_main(arg);
	return NULL;
}

/* ---- life ---- */

static int create_lock(struct device *device)
{
	pthread_condattr_t attributes;
	int err = pthread_mutex_init(&device->lock, NULL);

	if (err)
		return -err;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	err = pthread_cond_init(&device->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	if (err)
		pthread_mutex_destroy(&device->lock);
	return -err;
}

int device_create(const struct device_config *config, const struct device_host_ops *ops, void *opaque,
		  struct device **device)
{
	struct device *d = calloc(1, sizeof(*d));
	int err = -ENOMEM;

	if (!d)
		return -ENOMEM;
	d->config = *config;
	d->ops = ops;
	d->opaque = opaque;
	d->local = config->local ? config->local
				 : mmap(NULL, config->engine.mem_bytes, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (d->local == MAP_FAILED)
		goto err_free;
	err = engine_create(&config->engine, config->threads, &d->engine);
	if (err)
		goto err_unmap;
	err = create_lock(d);
	if (err)
		goto err_engine;
	mmu_init(&d->mmu, ops, opaque, d->local, config->engine.mem_bytes);
	d->idle = true;
	device_reset(d);
	if (!config->passive && !device_is_clocked(d)) {
		err = -pthread_create(&d->thread, NULL, thread_main, d);
		if (err)
			goto err_lock;
		d->has_thread = true;
	}
	*device = d;
	return 0;

err_lock:
	pthread_cond_destroy(&d->wake);
	pthread_mutex_destroy(&d->lock);
err_engine:
	engine_destroy(d->engine);
err_unmap:
	if (!config->local)
		munmap(d->local, config->engine.mem_bytes);
err_free:
	free(d);
	return err;
}

void device_destroy(struct device *device)
{
	if (!device)
		return;
	if (device->has_thread) {
		device_quit(device);
		pthread_join(device->thread, NULL);
	}
	for (unsigned int q = 0; q < device->num_live; q++)
		queue_abandon(&device->queues[q]);
	engine_destroy(device->engine);
	if (!device->config.local)
		munmap(device->local, device->config.engine.mem_bytes);
	pthread_cond_destroy(&device->wake);
	pthread_mutex_destroy(&device->lock);
	free(device);
}

/* @pointers: device_revoked() is false from here on, until the device's thread has seen to it. */
static void ask(struct device *device, enum attention what, bool pointers)
{
	pthread_mutex_lock(&device->lock);
	device->revokes_wanted += pointers;
	atomic_fetch_or(&device->attention, what);
	device_wake(device);
	pthread_mutex_unlock(&device->lock);
}

void device_quit(struct device *device)
{
	ask(device, ATTENTION_QUIT, false);
}

void device_pause(struct device *device, bool pause)
{
	device->pause = pause;
	ask(device, ATTENTION_PAUSE, false);
}

bool device_paused(struct device *device)
{
	return device->parked;
}

void *device_local_memory(struct device *device)
{
	return device->local;
}

void device_revoke(struct device *device)
{
	ask(device, ATTENTION_REVOKE, true);
}

void device_refresh(struct device *device)
{
	ask(device, ATTENTION_REFRESH, true);
}

bool device_revoked(struct device *device)
{
	return atomic_load(&device->revokes_done) == atomic_load(&device->revokes_wanted);
}

void device_doorbell(struct device *device, uint64_t offset)
{
	if (offset / AXL_DOORBELL_STRIDE >= AXL_MAX_CONTEXTS ||
	    offset % AXL_DOORBELL_STRIDE / 8 >= AXL_QUEUES_PER_CONTEXT)
		return;
	device->doorbells++;
	/* The device looks at all of its queues when it wakes: which one rang does not matter to it. */
	if (atomic_fetch_or(&device->attention, ATTENTION_DOORBELL) & ATTENTION_DOORBELL)
		return;
	pthread_mutex_lock(&device->lock);
	device_wake(device);
	pthread_mutex_unlock(&device->lock);
}
