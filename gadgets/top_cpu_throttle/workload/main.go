// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload makes control groups with limits of processor time for top_cpu_throttle, and processes that are busy in them.
//
//	workload DIR
package main

import (
	"fmt"
	"os"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Row is a row of top_cpu_throttle, with the fields that are known in advance.
type Row struct {
	Path     string  `json:"cgroupPath"`
	Quota    uint64  `json:"cpuQuota_raw"`
	Period   uint64  `json:"cpuPeriod_raw"`
	QuotaIn  string  `json:"cpuQuota"`
	PeriodIn string  `json:"cpuPeriod"`
	Cores    float64 `json:"cpuLimitCores"`
}

func main() {
	if os.Getenv(busyVar) != "" {
		beBusy()
		return
	}
	workload.Main(run)
}

func run(string) error {
	h := workload.Must(findHierarchy())
	name := fmt.Sprintf("gizmo-throttle-%d", os.Getpid())
	outer := h.group(name, limit{})
	defer outer.remove()
	tight := h.group(name+"/tight", limit{20_000, 100_000})
	defer tight.remove()
	short := h.group(name+"/short", limit{5_000, 10_000})
	defer short.remove()
	idle := h.group(name+"/idle", limit{10_000, 100_000}) // nothing runs there
	defer idle.remove()
	tight.keepBusy()
	short.keepBusy()
	rows := []Row{
		{"/" + name + "/tight", 20_000_000, 100_000_000, "20.00ms", "100.00ms", 0.2},
		{"/" + name + "/short", 5_000_000, 10_000_000, "5.00ms", "10.00ms", 0.5},
	}
	return workload.Show([]string{"--count", "1", "--filter", "cgroupPath~^/" + name}, rows)
}
