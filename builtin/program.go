// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package builtin

import "github.com/gizmo-ebpf/gizmo/annotation"

// ProgramRow is a BPF program.
type ProgramRow struct {
	GadgetID         [40]byte  `event:"gadgetID"`
	GadgetName       [64]byte  `event:"gadgetName"`
	GadgetImage      [256]byte `event:"gadgetImage"`
	ID               uint32    `event:"progID"`
	Name             [64]byte  `event:"progName"`
	Type             [32]byte  `event:"progType"`
	CPUUsage         float64   `event:"cpuUsage"`
	CPUUsageRelative float64   `event:"cpuUsageRelative"`
	CPUTimeText      [24]byte  `event:"cpuTimeStr"`
	Runtime          uint64    `event:"runtime_raw" type:"gadget_duration"`
	Runs             uint64    `event:"runcount"`
	MapMemory        uint64    `event:"mapMemory_raw" type:"gadget_bytes"`
	Maps             uint64    `event:"mapCount"`
	Comms            [256]byte `event:"comms"`
	PIDs             [256]byte `event:"pids"`
}

func programFields() map[string]annotation.Set {
	text := func(description, width string) annotation.Set {
		return annotation.Set{"description": description, "columns.width": width}
	}
	hidden := func(description, width string) annotation.Set {
		return annotation.Set{"description": description, "columns.width": width, "columns.hidden": "true"}
	}
	number := func(description, width, metric string) annotation.Set {
		return annotation.Set{"description": description, "columns.width": width, "columns.alignment": "right", "metrics.type": metric}
	}
	fields := map[string]annotation.Set{
		"gadgetID":         hidden("Identifies one start of a gadget by gizmo; empty for other programs.", "32"),
		"gadgetName":       text("Gadget that the program belongs to; empty for programs that gizmo did not load for a gadget.", "18"),
		"gadgetImage":      hidden("What the gadget was started from: its image, folder or name.", "24"),
		"progID":           {"description": "The kernel's number of the program.", "columns.width": "8", "columns.alignment": "right"},
		"progName":         text("Name of the program.", "24"),
		"progType":         text("Type of the program.", "14"),
		"cpuUsage":         percent("Processor time that the program used since the array before, in percent of one processor.", "4", "8"),
		"cpuUsageRelative": percent("Processor time that the program used since the array before, in percent of all processors that are online.", "4", "16"),
		"cpuTimeStr": {"description": "Processor time of the program while somebody had its runs counted, as minutes:seconds.",
			"columns.width": "12", "columns.alignment": "right", "columns.hidden": "true"},
		"runtime_raw":   {"description": "Processor time that the program used since the array before.", "metrics.type": "counter"},
		"runtime":       {"description": "Processor time that the program used since the array before, in human-readable form.", "columns.width": "12"},
		"runcount":      number("How often the program ran since the array before.", "10", "counter"),
		"mapMemory_raw": {"description": "Memory of the maps that the program uses.", "metrics.type": "gauge"},
		"mapMemory":     {"description": "Memory of the maps that the program uses, in human-readable form.", "columns.width": "10"},
		"mapCount":      number("Number of maps that the program uses.", "8", "gauge"),
		"comms":         text("Names of the processes that hold the program open, with commas between them.", "20"),
		"pids":          text("Ids of the processes that hold the program open, with commas between them.", "16"),
	}
	for _, key := range []string{"gadgetName", "gadgetImage", "progName"} {
		fields[key]["metrics.type"] = "key"
	}
	return fields
}
