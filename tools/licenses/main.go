// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command licenses checks that the modules which gizmo and its tools are made of have licenses that
// are allowed. It takes the folders of the modules to look at:
//
//	go -C tools run ./licenses .. .
package main

import (
	"fmt"
	"os"

	"github.com/gizmo-ebpf/gizmo/tools/modules"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "licenses: %v\n", err)
		os.Exit(1)
	}
}

func run(dirs []string) error {
	count := 0
	for _, dir := range dirs {
		all, err := modules.Compiled(dir)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return fmt.Errorf("no modules were found in %s", dir)
		}
		for _, wrong := range modules.CheckLicenses(all, modules.Allowed()) {
			fmt.Fprintln(os.Stderr, wrong)
			count++
		}
	}
	if count > 0 {
		return fmt.Errorf("modules cannot be used as they are: %d", count)
	}
	return nil
}
