// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/docker/go-units"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/oci/store"
)

// listed is an image as scripts read it.
type listed struct {
	Repository, Tag, Digest, Created string

	name string // the complete one
}

// shortDigest is how many digits of a digest a table shows.
const shortDigest = 12

func (e *Env) listCommand() *cobra.Command {
	var mode string
	var whole bool
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the images of the store", Args: args(0, false, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			return withStore(func(s *store.Store) error {
				all, err := e.list(s)
				if err != nil {
					return err
				}
				switch mode {
				case "columns":
					return table(e.Out, all, whole)
				case "json", "jsonpretty":
					return writeJSON(e.Out, all, mode == "jsonpretty")
				}
				return fmt.Errorf("--output: want columns, json or jsonpretty, got %q", mode)
			})
		},
	}
	cmd.Flags().StringVarP(&mode, "output", "o", "columns", "output mode: columns, json, jsonpretty")
	cmd.Flags().BoolVar(&whole, "no-trunc", false, "show digests as a whole")
	return cmd
}

// list returns the images of the store by their short names.
func (e *Env) list(s *store.Store) ([]listed, error) {
	images, err := s.Images()
	all := []listed{} // for JSON not null
	for _, image := range images {
		one := listed{name: image.Name, Repository: image.Name, Digest: image.Descriptor.Digest.String(), Created: image.Descriptor.Annotations[ocispec.AnnotationCreated]}
		if name, err := e.defaults().Parse(image.Name); err == nil {
			one.Repository, one.Tag = e.defaults().Short(name), name.Tag
		}
		all = append(all, one)
	}
	return all, err
}

func table(w io.Writer, all []listed, whole bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "REPOSITORY\tTAG\tDIGEST\tCREATED")
	for _, one := range all {
		digest := one.Digest
		if _, hex, ok := strings.Cut(digest, ":"); ok && !whole {
			digest = hex[:min(shortDigest, len(hex))]
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", plain.Line(one.Repository), plain.Line(one.Tag), plain.Line(digest), age(one.Created))
	}
	return t.Flush()
}

// age says how long ago a time was.
func age(created string) string {
	at, err := time.Parse(time.RFC3339, created)
	if err != nil {
		return ""
	}
	return units.HumanDuration(time.Since(at)) + " ago"
}

func writeJSON(w io.Writer, value any, pretty bool) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if pretty {
		encoder.SetIndent("", "  ")
	}
	return encoder.Encode(value)
}
