// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command measure looks up functions all over the largest files of a machine and of its kernel, and prints how much memory that took.
package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gizmo-ebpf/gizmo/symbol/names"
)

const (
	files   = 200
	lookUps = 200 // in each file
	least   = 200 << 10
)

type found struct {
	path string
	size int64
}

// largest lists the largest executables and libraries.
func largest() []found {
	var all []found
	for _, dir := range []string{"/usr/bin", "/usr/lib", "/usr/local"} {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			info, err := d.Info()
			if err != nil || info.Size() < least {
				return nil
			}
			f, err := os.Open(path)
			if err != nil {
				return nil
			}
			defer f.Close()
			var magic [17]byte
			if n, _ := f.ReadAt(magic[:], 0); n < len(magic) || string(magic[:4]) != "\x7fELF" || magic[16] < 2 || magic[16] > 3 {
				return nil
			}
			all = append(all, found{path, info.Size()})
			return nil
		})
	}
	slices.SortFunc(all, func(a, b found) int { return int(b.size - a.size) })
	return all[:min(len(all), files)]
}

func main() {
	set := names.NewFiles(names.Options{Folders: names.SystemFolders(os.Getenv)})
	kernel := names.NewKernel()
	start := time.Now()
	if err := kernel.Load(); err != nil {
		fmt.Fprintln(os.Stderr, "measure: the kernel:", err)
	}
	fmt.Println("kernel_ms", time.Since(start).Milliseconds())
	opened, named, asked, slowest := 0, 0, 0, time.Duration(0)
	list := largest()
	start = time.Now()
	for _, found := range list {
		r, err := os.Open(found.path)
		if err != nil {
			continue
		}
		f, err := set.Open(r, found.size, found.path)
		if err != nil {
			continue
		}
		opened++
		m := f.Module()
		began := time.Now()
		for i := range uint64(lookUps) {
			asked++
			if f.Lookup(m.Start+(m.Limit-m.Start)*i/lookUps) != nil {
				named++
			}
		}
		slowest = max(slowest, time.Since(began))
	}
	fmt.Println("files_ms", time.Since(start).Milliseconds())
	fmt.Println("slowest_ms", slowest.Milliseconds())
	fmt.Println("files", opened)
	fmt.Println("asked", asked)
	fmt.Println("named", named)
	fmt.Println("table_kib", set.Size()>>10)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			fmt.Printf("peak_kib %s\n", bytes.Fields(rest)[0])
		}
	}
}
