// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// These are set when the program is linked, as in -X .../internal/cli.version=v1.2.3. They do not contain the
// time or place of the build, so that the same source gives the same program.
var (
	version    = "unknown"
	sourceTime = "" // of the last change of the source, in seconds since 1970
	release    = "" // "true" in a release
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of gizmo",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.page, "gizmo %s %s/%s %s (%s)\n",
				version, runtime.GOOS, runtime.GOARCH, runtime.Version(), describeBuild(release, sourceTime))
			return err
		},
	}
}

// describeBuild says what kind of build this is, and how old its source.
func describeBuild(release, sourceTime string) string {
	kind := "development build"
	if release == "true" {
		kind = "release build"
	}
	seconds, err := strconv.ParseInt(sourceTime, 10, 64)
	if err != nil {
		return kind
	}
	return kind + ", source of " + time.Unix(seconds, 0).UTC().Format(time.RFC3339)
}
