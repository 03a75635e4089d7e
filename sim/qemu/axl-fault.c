/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AXL accelerator: rules of fault injection, their text, and which of them
 * holds.
 *
 *   rules := rule { ";" rule }        rule := key "=" word { "," key "=" word }
 *
 * site and action are necessary. A rule holds for the events of its site that
 * fit queue, vector and address; of these for the nth alone, or for each with a
 * probability in percent, and no more than count times. Everything random comes
 * from the seed, which starts again when rules or seed are set.
 */
#include "hw/misc/axl/axl-fault.h"

#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/cutils.h"
#include "qemu/lockable.h"
#include "qemu/module.h"
#include "hw/misc/axl/trace-axl.h"

#define AXL_FAULT_MAX_RULES 64
#define AXL_FAULT_DELAY_US  1000

static const char *const axl_fault_actions[AXL_FAULT_NUM_ACTIONS] = {
    [AXL_FAULT_NONE] = "none",           [AXL_FAULT_DROP] = "drop",
    [AXL_FAULT_DUPLICATE] = "duplicate", [AXL_FAULT_DELAY] = "delay",
    [AXL_FAULT_CORRUPT] = "corrupt",     [AXL_FAULT_HANG] = "hang",
    [AXL_FAULT_WRONG] = "wrong",         [AXL_FAULT_SLOW] = "slow",
    [AXL_FAULT_FAIL] = "fail",           [AXL_FAULT_REFUSE] = "refuse",
    [AXL_FAULT_ONES] = "ones",           [AXL_FAULT_LINK_DOWN] = "link-down",
    [AXL_FAULT_CORRECTABLE] = "correctable",
    [AXL_FAULT_NONFATAL] = "nonfatal",
    [AXL_FAULT_FATAL] = "fatal",
};

static const struct {
    const char *name;
    uint32_t actions;
} axl_fault_sites[AXL_FAULT_NUM_SITES] = {
    [AXL_FAULT_MSIX] = { "msix", 1u << AXL_FAULT_DROP |
                                     1u << AXL_FAULT_DUPLICATE |
                                     1u << AXL_FAULT_DELAY },
    [AXL_FAULT_FETCH] = { "fetch", 1u << AXL_FAULT_CORRUPT },
    [AXL_FAULT_AER] = { "aer", 1u << AXL_FAULT_CORRECTABLE |
                                   1u << AXL_FAULT_NONFATAL |
                                   1u << AXL_FAULT_FATAL },
    [AXL_FAULT_PACKET] = { "packet", 1u << AXL_FAULT_HANG },
    [AXL_FAULT_PIPE] = { "pipe", 1u << AXL_FAULT_HANG },
    [AXL_FAULT_RETIRE] = { "retire", 1u << AXL_FAULT_WRONG },
    [AXL_FAULT_RESET] = { "reset",
                          1u << AXL_FAULT_SLOW | 1u << AXL_FAULT_FAIL },
    [AXL_FAULT_INVALIDATE] = { "invalidate", 1u << AXL_FAULT_DROP },
    [AXL_FAULT_ANSWER] = { "answer", 1u << AXL_FAULT_SLOW },
    [AXL_FAULT_RESULT] = { "result", 1u << AXL_FAULT_WRONG },
    [AXL_FAULT_MAP] = { "map",
                        1u << AXL_FAULT_REFUSE | 1u << AXL_FAULT_WRONG },
    [AXL_FAULT_READ] = { "read",
                         1u << AXL_FAULT_ONES | 1u << AXL_FAULT_LINK_DOWN },
};

/* ---- which rule holds ---- */

/* xorshift64*: good enough, and the same on every host. */
static uint64_t axl_fault_random(AxlFault *fault)
{
    fault->random ^= fault->random >> 12;
    fault->random ^= fault->random << 25;
    fault->random ^= fault->random >> 27;
    return fault->random * 0x2545f4914f6cdd1dull;
}

static bool axl_fault_fits(const AxlFaultRule *rule, const AxlFaultPoint *point)
{
    return rule->site == point->site &&
           (rule->queue < 0 || rule->queue == point->queue) &&
           (rule->vector < 0 || rule->vector == point->vector) &&
           (!rule->has_address || rule->address - point->address < point->size);
}

static bool axl_fault_strikes(AxlFault *fault, AxlFaultRule *rule)
{
    rule->seen++;
    if (rule->count && rule->injected >= rule->count) {
        return false;
    }
    if (rule->nth && rule->seen != rule->nth) {
        return false;
    }
    /* The high half: the low bits of this generator are its weak ones. */
    return rule->probability >= 100 ||
           (axl_fault_random(fault) >> 32) % 100 < rule->probability;
}

static uint64_t axl_fault_value(AxlFault *fault, const AxlFaultRule *rule)
{
    switch (rule->action) {
    case AXL_FAULT_DELAY:
    case AXL_FAULT_DUPLICATE:
    case AXL_FAULT_SLOW:
        return rule->delay;
    case AXL_FAULT_FAIL:
        return UINT64_MAX;
    default:
        return rule->has_value ? rule->value : axl_fault_random(fault);
    }
}

AxlFaultAction axl_fault_at(AxlFault *fault, const AxlFaultPoint *point,
                            uint64_t *value)
{
    QEMU_LOCK_GUARD(&fault->lock);
    for (unsigned i = 0; i < fault->num_rules; i++) {
        AxlFaultRule *rule = &fault->rules[i];

        if (!axl_fault_fits(rule, point) || !axl_fault_strikes(fault, rule)) {
            continue;
        }
        rule->injected++;
        fault->injected[rule->site]++;
        fault->total++;
        *value = axl_fault_value(fault, rule);
        trace_axl_fault_injected(fault, axl_fault_sites[rule->site].name,
                                 axl_fault_actions[rule->action], rule->seen,
                                 *value);
        return rule->action;
    }
    return AXL_FAULT_NONE;
}

/* ---- text ---- */

static bool axl_fault_parse_site(AxlFaultRule *rule, const char *word,
                                 Error **errp)
{
    for (unsigned i = 0; i < AXL_FAULT_NUM_SITES; i++) {
        if (!strcmp(word, axl_fault_sites[i].name)) {
            rule->site = i;
            return true;
        }
    }
    error_setg(errp, "axl-fault: no site '%s'", word);
    return false;
}

static bool axl_fault_parse_action(AxlFaultRule *rule, const char *word,
                                   Error **errp)
{
    for (unsigned i = AXL_FAULT_NONE + 1; i < AXL_FAULT_NUM_ACTIONS; i++) {
        if (!strcmp(word, axl_fault_actions[i])) {
            rule->action = i;
            return true;
        }
    }
    error_setg(errp, "axl-fault: no action '%s'", word);
    return false;
}

static bool axl_fault_parse_number(AxlFaultRule *rule, const char *key,
                                   const char *word, Error **errp)
{
    const struct {
        const char *key;
        uint64_t *number, min, max;
    } keys[] = {
        { "queue", (uint64_t *)&rule->queue, 0, 255 },
        { "vector", (uint64_t *)&rule->vector, 0, 15 },
        { "nth", &rule->nth, 1, UINT64_MAX },
        { "count", &rule->count, 1, UINT64_MAX },
        { "probability", &rule->probability, 0, 100 },
        { "delay", &rule->delay, 0, 60 * 1000 * 1000 },
        { "address", &rule->address, 0, UINT64_MAX },
        { "value", &rule->value, 0, UINT64_MAX },
    };
    uint64_t number;

    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        if (strcmp(key, keys[i].key)) {
            continue;
        }
        /* strtoull() would take a sign. */
        if (!g_ascii_isdigit(*word) || qemu_strtou64(word, NULL, 0, &number)) {
            error_setg(errp, "axl-fault: '%s' of '%s' is no number", word, key);
            return false;
        }
        if (number < keys[i].min || number > keys[i].max) {
            error_setg(errp, "axl-fault: '%s' of '%s' is out of range", word,
                       key);
            return false;
        }
        *keys[i].number = number;
        rule->has_address |= !strcmp(key, "address");
        rule->has_value |= !strcmp(key, "value");
        return true;
    }
    error_setg(errp, "axl-fault: no key '%s'", key);
    return false;
}

static bool axl_fault_parse_rule(AxlFaultRule *rule, const char *text,
                                 Error **errp)
{
    g_auto(GStrv) terms = g_strsplit(text, ",", -1);
    bool site = false;

    if (!*text) {
        error_setg(errp, "axl-fault: '' is no rule");
        return false;
    }
    *rule = (AxlFaultRule){ .queue = -1,
                            .vector = -1,
                            .probability = 100,
                            .delay = AXL_FAULT_DELAY_US };
    for (char **term = terms; *term; term++) {
        char *word = strchr(*term, '=');

        if (!word) {
            error_setg(errp, "axl-fault: '%s' is not key=word", *term);
            return false;
        }
        *word++ = 0;
        if (!strcmp(*term, "site")) {
            site = true;
            if (!axl_fault_parse_site(rule, word, errp)) {
                return false;
            }
        } else if (!strcmp(*term, "action")) {
            if (!axl_fault_parse_action(rule, word, errp)) {
                return false;
            }
        } else if (!axl_fault_parse_number(rule, *term, word, errp)) {
            return false;
        }
    }
    if (!site || !rule->action) {
        error_setg(errp, "axl-fault: '%s' has no %s", text,
                   site ? "action" : "site");
        return false;
    }
    if (!(axl_fault_sites[rule->site].actions >> rule->action & 1)) {
        error_setg(errp, "axl-fault: no action '%s' at site '%s'",
                   axl_fault_actions[rule->action],
                   axl_fault_sites[rule->site].name);
        return false;
    }
    return true;
}

/* The lock is held. */
static void axl_fault_restart(AxlFault *fault)
{
    /* Zero would stay zero for ever. */
    fault->random = fault->seed ^ 0x9e3779b97f4a7c15ull ?: 1;
}

static void axl_fault_set_rules(Object *obj, const char *text, Error **errp)
{
    AxlFault *fault = AXL_FAULT(obj);
    g_auto(GStrv) parts = g_strsplit(text, ";", -1);
    unsigned num = *text ? g_strv_length(parts) : 0;
    g_autofree AxlFaultRule *rules = g_new0(AxlFaultRule, num);

    if (num > AXL_FAULT_MAX_RULES) {
        error_setg(errp, "axl-fault: %u rules, at most %d are possible", num,
                   AXL_FAULT_MAX_RULES);
        return;
    }
    /* All or none. */
    for (unsigned i = 0; i < num; i++) {
        if (!axl_fault_parse_rule(&rules[i], parts[i], errp)) {
            return;
        }
    }
    QEMU_LOCK_GUARD(&fault->lock);
    g_free(fault->rules);
    g_free(fault->text);
    fault->rules = g_steal_pointer(&rules);
    fault->text = g_strdup(text);
    fault->num_rules = num;
    axl_fault_restart(fault);
    trace_axl_fault_rules(fault, text);
}

static char *axl_fault_get_rules(Object *obj, Error **errp)
{
    AxlFault *fault = AXL_FAULT(obj);

    QEMU_LOCK_GUARD(&fault->lock);
    return g_strdup(fault->text ?: "");
}

/* ---- the object ---- */

static void axl_fault_set_seed(Object *obj, Visitor *v, const char *name,
                               void *opaque, Error **errp)
{
    AxlFault *fault = AXL_FAULT(obj);
    uint64_t seed;

    if (visit_type_uint64(v, name, &seed, errp)) {
        QEMU_LOCK_GUARD(&fault->lock);
        fault->seed = seed;
        axl_fault_restart(fault);
    }
}

static void axl_fault_get_number(Object *obj, Visitor *v, const char *name,
                                 void *opaque, Error **errp)
{
    AxlFault *fault = AXL_FAULT(obj);
    uint64_t value;

    WITH_QEMU_LOCK_GUARD(&fault->lock)
    {
        value = *(uint64_t *)opaque;
    }
    visit_type_uint64(v, name, &value, errp);
}

static void axl_fault_init(Object *obj)
{
    AxlFault *fault = AXL_FAULT(obj);

    qemu_mutex_init(&fault->lock);
    axl_fault_restart(fault);
    object_property_add(obj, "seed", "uint64", axl_fault_get_number,
                        axl_fault_set_seed, NULL, &fault->seed);
    object_property_add(obj, "injected", "uint64", axl_fault_get_number, NULL,
                        NULL, &fault->total);
    for (unsigned i = 0; i < AXL_FAULT_NUM_SITES; i++) {
        g_autofree char *name = g_strdup_printf("injected-%s",
                                                axl_fault_sites[i].name);

        object_property_add(obj, name, "uint64", axl_fault_get_number, NULL,
                            NULL, &fault->injected[i]);
    }
}

static void axl_fault_finalize(Object *obj)
{
    AxlFault *fault = AXL_FAULT(obj);

    g_free(fault->rules);
    g_free(fault->text);
    qemu_mutex_destroy(&fault->lock);
}

static void axl_fault_class_init(ObjectClass *class, void *data)
{
    object_class_property_add_str(class, "rules", axl_fault_get_rules,
                                  axl_fault_set_rules);
}

static const TypeInfo axl_fault_types[] = {
    {
        .name = TYPE_AXL_FAULT,
        .parent = TYPE_OBJECT,
        .instance_size = sizeof(AxlFault),
        .instance_init = axl_fault_init,
        .instance_finalize = axl_fault_finalize,
        .class_init = axl_fault_class_init,
    },
};

DEFINE_TYPES(axl_fault_types)
