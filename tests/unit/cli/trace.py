#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""accel run --profile FILE.json: what Perfetto and chrome://tracing take for granted of a trace, and that its sums are those of the run.

	trace.py ACCEL MODEL…
"""
import collections
import json
import os
import subprocess
import sys
import tempfile

ACCEL, MODELS = sys.argv[1], sys.argv[2:]
CPU, DEVICE, QUEUE = 1, 2, 3


def ns(microseconds):
    return round(microseconds * 1000)


def samples_of(model):
    """Its own inputs, where it has some: what is made up is no index. Whether the outputs are right is for others to say."""
    folder = os.path.join(os.path.dirname(model), "test_data_set_0")
    return ["--data-set", folder, "--rtol", "1", "--atol", "10"] if os.path.isdir(folder) else []


def trace_of(model, *options):
    """The trace, and the figures of the same run."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([ACCEL, "run", model, "--quiet", "--no-cache", "--profile", f"{folder}/trace.json", "--json", f"{folder}/run.json",
                        *options, *samples_of(model)], check=True)
        with open(f"{folder}/trace.json", encoding="utf-8") as trace, open(f"{folder}/run.json", encoding="utf-8") as figures:
            return json.load(trace), json.load(figures)


def check_tracks(events):
    """Nothing is outside of the run; on a track one event ends before the next begins, or the next lies inside of it."""
    run, = [e for e in events if e["ph"] == "X" and e["name"] == "run"]
    assert ns(run["ts"]) == 0 and run["pid"] == CPU
    tracks = collections.defaultdict(list)
    for e in events:
        if e["ph"] == "X":
            tracks[e["pid"], e["tid"]].append((ns(e["ts"]), -ns(e["dur"]), e["name"]))
    for track, spans in tracks.items():
        open_ends = []
        assert spans == sorted(spans) or track[0] != CPU, f"{track} is not in order"
        for start, length, name in sorted(spans):
            end = start - length
            assert 0 <= start <= end <= ns(run["dur"]), (track, name)
            while open_ends and open_ends[-1] <= start:
                open_ends.pop()
            assert not open_ends or end <= open_ends[-1], f"{name} overlaps another on {track}"
            assert track == (CPU, 1) or not open_ends or start == end, f"{name} lies in another on {track}"
            open_ends.append(end)
    return tracks, ns(run["dur"])


def check_names(events, tracks):
    named = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    processes = {e["pid"]: e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "process_name"}
    assert set(tracks) <= set(named), set(tracks) - set(named)
    assert len(set((pid, name) for (pid, _), name in named.items())) == len(named), "two tracks of one name"
    assert {pid for pid, _ in tracks} == set(processes), processes
    return named


def check_arrows(events):
    """Each packet has one arrow: from the host's START through the queue to the device."""
    packets = [e for e in events if e["ph"] == "X" and e["pid"] == QUEUE]
    inside = collections.defaultdict(list)
    for e in events:
        if e["ph"] == "X":
            inside[e["pid"], e["tid"]].append(e)
    arrows = collections.defaultdict(dict)
    for e in events:
        if e["ph"] in "stf":
            assert e["ph"] not in arrows[e["id"]], "an arrow with two ends"
            arrows[e["id"]][e["ph"]] = e
            around = [o for o in inside[e["pid"], e["tid"]] if ns(o["ts"]) <= ns(e["ts"]) <= ns(o["ts"]) + ns(o["dur"])]
            assert around, "an arrow from or to nothing"
            if e["ph"] == "s":
                assert any(o["name"] == "start region" for o in around), around
    assert len(arrows) == len(packets)
    for steps in arrows.values():
        assert {"s", "f"} <= set(steps) and [steps[p]["pid"] for p in "stf" if p in steps] in ([CPU, QUEUE, DEVICE], [CPU, QUEUE])
        times = [ns(steps[p]["ts"]) for p in "stf" if p in steps]
        assert times == sorted(times), times
    return packets


def check_sums(events, figures, packets):
    nodes = figures["nodes"]
    busy = collections.Counter()
    for e in events:
        if e["ph"] == "X" and (e["pid"], e["tid"]) == (CPU, 1) and "node" in e["args"]:
            busy[e["args"]["node"]] += ns(e["dur"])
            assert e["name"] == nodes[e["args"]["node"]]["name"] and nodes[e["args"]["node"]]["on"] == "cpu"
    for number, node in enumerate(nodes):
        if number in busy:
            assert busy[number] == node["cpu_ns"], (node, busy[number])
    inner = sum(r["nodes"] for r in figures["regions"])  # nodes of bodies run inside of others, and come behind these
    assert {i for i, n in enumerate(nodes[:inner]) if n["on"] == "cpu"} == set(busy), (busy, inner)
    assert [p["cat"] for p in packets] == ["packet"] * len(packets)
    device = [i for i, r in enumerate(figures["regions"]) if r["on"] == "npu"]
    assert sorted(p["args"]["region"] for p in packets) == device
    assert sum(p["args"]["cycles"] for p in packets) == figures["device_cycles"]
    for p in packets:
        region = p["args"]["region"]
        start, end = ns(p["ts"]), ns(p["ts"]) + ns(p["dur"])
        assert p["args"]["cycles"] == figures["regions"][region]["cycles"]
        mine = [e for e in events if e["ph"] == "X" and e["pid"] == DEVICE and nodes[e["args"]["node"]]["region"] == region]
        assert mine, f"region {region} has no instructions"
        assert all(start <= ns(e["ts"]) and ns(e["ts"]) + ns(e["dur"]) <= end for e in mine), "outside of its packet"
        copies = [e for e in events if e["ph"] == "X" and e["cat"] == "transfer" and e["args"]["region"] == region]
        assert sorted(e["name"] for e in copies) == ["copy from the device", "copy to the device"], copies
        assert all(e["args"]["bytes"] > 0 for e in copies)
        # A region's time is from its start to the end of its last copy.
        begin, = [ns(e["ts"]) for e in events if e["ph"] == "X" and e["cat"] == "submit" and e["args"]["region"] == region]
        last = max(ns(e["ts"]) + ns(e["dur"]) for e in copies)
        assert last - begin == figures["regions"][region]["ns"], (last - begin, figures["regions"][region])


def check(model, *options):
    trace, figures = trace_of(model, *options)
    events = trace["traceEvents"]
    assert trace["otherData"]["dropped"] == 0 and trace["otherData"]["clock"] == "CLOCK_MONOTONIC"
    tracks, duration = check_tracks(events)
    profiling = sum(ns(e["dur"]) for e in events if e["ph"] == "X" and e["cat"] == "profiling")
    assert duration - profiling == figures["ns"], (duration, profiling, figures["ns"])
    named = check_names(events, tracks)
    check_sums(events, figures, check_arrows(events))
    return events, set(named.values())


for path in MODELS:
    for where in ["sim:"], ["sim:", "--disable", "placement"], ["sim:target=axl-pro", "--disable", "placement"], ["cpu", "--threads", "2"]:
        found, tracks_of_it = check(path, "--device", *where)
        on_device = any(e["pid"] == DEVICE for e in found)
        assert on_device or "--disable" not in where, f"{path} on {where}: nothing on the device"
        if where[0] == "cpu":
            assert not on_device and not any(e["pid"] == QUEUE for e in found)
        if where[0].endswith("pro") and path == MODELS[0]:
            assert any(name.startswith("tile 3 ") for name in tracks_of_it), tracks_of_it
