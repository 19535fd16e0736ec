// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package builtin

import "github.com/gizmo-ebpf/gizmo/annotation"

// ProcessRow is a process.
type ProcessRow struct {
	PID              int32    `event:"pid" type:"gadget_pid"`
	Parent           int32    `event:"ppid" type:"gadget_ppid"`
	Comm             [16]byte `event:"comm" type:"gadget_comm"`
	Priority         int8     `event:"priority"`
	Nice             int8     `event:"nice"`
	CPUUsage         float64  `event:"cpuUsage"`
	CPUUsageRelative float64  `event:"cpuUsageRelative"`
	Resident         uint64   `event:"memoryRSS_raw" type:"gadget_bytes"`
	Virtual          uint64   `event:"memoryVirtual_raw" type:"gadget_bytes"`
	Shared           uint64   `event:"memoryShared_raw" type:"gadget_bytes"`
	MemoryRelative   float64  `event:"memoryRelative"`
	Threads          int32    `event:"threadCount"`
	State            [2]byte  `event:"state"`
	UID              uint32   `event:"uid" type:"gadget_uid"`
	Start            uint64   `event:"startTime"`
	StartText        [32]byte `event:"startTimeStr"`
	CPUTime          int64    `event:"cpuTime"`
	CPUTimeText      [24]byte `event:"cpuTimeStr"`
	MountNS          uint64   `event:"mountnsid" type:"gadget_mntns_id"`
}

func processFields() map[string]annotation.Set {
	return map[string]annotation.Set{
		"pid":  {"description": "Id of the process."},
		"ppid": {"description": "Id of the parent process; 0 for the first ones, which the kernel started."},
		"comm": {"description": "Name of the process."},
		"priority": {"description": "Priority for the scheduler: 20 more than the nice value, or less than 0 for a real-time process.",
			"columns.width": "4", "columns.alignment": "right"},
		"nice":     {"description": "Nice value, from -20 to 19.", "columns.width": "4", "columns.alignment": "right"},
		"cpuUsage": percent("Processor time that the process used since the array before, in percent of one processor.", "1", "8"),
		"cpuUsageRelative": percent("Processor time that the process used since the array before, in percent of all processors that are online.",
			"1", "16"),
		"memoryRSS_raw":     {"description": "Memory of the process that is in RAM."},
		"memoryRSS":         {"description": "Memory of the process that is in RAM, in human-readable form."},
		"memoryVirtual_raw": {"description": "Size of the address space that the process uses."},
		"memoryVirtual":     {"description": "Size of the address space that the process uses, in human-readable form."},
		"memoryShared_raw":  {"description": "Part of the memory in RAM that is of files, or shared between processes."},
		"memoryShared":      {"description": "Part of the memory in RAM that is of files, or shared between processes, in human-readable form."},
		"memoryRelative":    percent("Memory of the process that is in RAM, in percent of the machine's.", "1", "14"),
		"threadCount": {"description": "Number of threads.",
			"columns.width": "11", "columns.minwidth": "3", "columns.alignment": "right"},
		"state": {"description": "R: runs or could run; S: sleeps; D: sleeps and cannot be woken by signals; I: idle thread of the kernel; T: stopped; " +
			"t: stopped by a tracer; Z: zombie; X: dead.", "columns.width": "5", "columns.minwidth": "1"},
		"uid":  {"description": "Effective user of the process.", "uidgidresolver.target": "user"},
		"user": {"description": "Name of the effective user.", "columns.width": "16"},
		"startTime": {"description": "When the process started, in hundredths of a second since boot.",
			"columns.hidden": "true", "columns.alignment": "right"},
		"startTimeStr": {"description": "When the process started, as in 2026-03-04T05:06:07+01:00.",
			"columns.width": "25", "columns.ellipsis": "start"},
		"cpuTime": {"description": "Processor time that the process has used since it started, in hundredths of a second.",
			"columns.hidden": "true", "columns.alignment": "right"},
		"cpuTimeStr": {"description": "Processor time that the process has used since it started, as minutes:seconds.",
			"columns.width": "12", "columns.alignment": "right"},
		"mountnsid": {"description": "Mount namespace of the process: the inode of /proc/PID/ns/mnt; 0 if gizmo may not see it, or for a zombie."},
	}
}

// percent is the annotations of a number of percents.
func percent(description, precision, width string) annotation.Set {
	return annotation.Set{
		"description": description, "columns.precision": precision, "columns.width": width, "columns.minwidth": "6", "columns.alignment": "right",
	}
}
