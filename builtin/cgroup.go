// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package builtin

import "github.com/gizmo-ebpf/gizmo/annotation"

// CgroupPathSize is the room for the path of a control group.
const CgroupPathSize = 512

// CgroupRow is a control group with a limit of processor time.
type CgroupRow struct {
	Path          [CgroupPathSize]byte `event:"cgroupPath"`
	Periods       uint64               `event:"nrPeriods"`
	Throttled     uint64               `event:"nrThrottled"`
	ThrottledTime uint64               `event:"throttledTime_raw" type:"gadget_duration"`
	Ratio         float64              `event:"throttleRatio"`
	Quota         uint64               `event:"cpuQuota_raw" type:"gadget_duration"`
	Period        uint64               `event:"cpuPeriod_raw" type:"gadget_duration"`
	Cores         float64              `event:"cpuLimitCores"`
	Some10        float64              `event:"psiSomeAvg10"`
	Some60        float64              `event:"psiSomeAvg60"`
	MountNS       uint64               `event:"mountnsid" type:"gadget_mntns_id"`
}

func cgroupFields() map[string]annotation.Set {
	number := func(description, width string) annotation.Set {
		return annotation.Set{"description": description, "columns.width": width, "columns.alignment": "right"}
	}
	hidden := func(description string) annotation.Set {
		return annotation.Set{"description": description, "columns.width": "10", "columns.hidden": "true"}
	}
	return map[string]annotation.Set{
		"cgroupPath": {"description": `Path of the control group; it starts with "..." where directories are left out.`,
			"columns.width": "60", "columns.ellipsis": "start"},
		"nrPeriods":         number("Periods since the array before in which the control group had something to do.", "10"),
		"nrThrottled":       number("Those of these periods in which it had used up its quota and had to wait.", "12"),
		"throttledTime_raw": {"description": "How long its processors waited since the array before; several wait at the same time."},
		"throttledTime": {"description": "How long its processors waited since the array before, in human-readable form.",
			"columns.width": "14"},
		"throttleRatio": percent("Periods in which it had to wait, in percent of all these periods.", "2", "8"),
		"cpuQuota_raw":  {"description": "Processor time that it may use in each period."},
		"cpuQuota":      {"description": "Processor time that it may use in each period, in human-readable form.", "columns.width": "10"},
		"cpuPeriod_raw": {"description": "Length of a period."},
		"cpuPeriod":     hidden("Length of a period, in human-readable form."),
		"cpuLimitCores": percent("How many processors it may keep busy: the quota divided by the period.", "2", "8"),
		"psiSomeAvg10":  percent("Time in the last 10 seconds in which some of its tasks waited for a processor, in percent; 0 if the kernel does not say.", "2", "8"),
		"psiSomeAvg60":  percent("Time in the last 60 seconds in which some of its tasks waited for a processor, in percent; 0 if the kernel does not say.", "2", "8"),
		"mountnsid":     {"description": "Mount namespace of one of its processes; 0 if it has none, or gizmo may not see it."},
	}
}
