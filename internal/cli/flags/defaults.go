// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// forUsers are the flags that only the user sets: a gadget, which may come from anywhere, must not choose files, programs and sockets of this machine, open ports
// or keep rights.
func forUsers() []string {
	return []string{
		"output-file", "record", "clang", "keep-capabilities", "verbose", "help",
		"runtimes", "docker-socketpath", "podman-socketpath", "containerd-socketpath", "crio-socketpath", "runc-root", "crun-root",
		metricsListen, metricsAddress, metricsPush, metricsConfig,
		"pull", "disallow-pulling", "verify-image", "allowed-gadgets", "authfile", "insecure-registries",
		"public-keys", "notation-certificates", "notation-policy-document",
	}
}

// SetDefaults sets flags to the defaults of the gadget. It runs before the command line is parsed, whose values
// override them. In paramDefaults the flags have longer names: operator.oci.ebpf.map-fetch-interval.
func SetDefaults(fs *pflag.FlagSet, defaults map[string]string, warn func(error)) error {
	var known []string
	fs.VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		last := name[strings.LastIndex(name, ".")+1:]
		flag := fs.Lookup(last)
		if isForUsers := slices.Contains(forUsers(), last); flag == nil || isForUsers {
			err := fmt.Errorf("paramDefaults: gizmo has no flag for %q%s", name, nearest.Hint(last, known))
			if isForUsers {
				err = fmt.Errorf("paramDefaults: %q: a gadget cannot set --%s, only the user can", name, last)
			}
			if warn != nil {
				warn(err)
				err = nil
			}
			errs = append(errs, err)
			continue
		}
		if err := fs.Set(last, defaults[name]); err != nil {
			errs = append(errs, fmt.Errorf("paramDefaults: %s: %w", name, err))
		}
		flag.DefValue = plain.Text(defaults[name])
	}
	return errors.Join(errs...)
}
