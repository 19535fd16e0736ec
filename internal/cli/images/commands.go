// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gizmo-ebpf/gizmo/internal/safefile"
	"github.com/gizmo-ebpf/gizmo/oci/archive"
	"github.com/gizmo-ebpf/gizmo/oci/reference"
	"github.com/gizmo-ebpf/gizmo/oci/registry"
	"github.com/gizmo-ebpf/gizmo/oci/store"
)

// Commands returns the commands of "gizmo image" that need no compiler.
func Commands(e *Env) []*cobra.Command {
	return []*cobra.Command{
		e.listCommand(), e.tagCommand(), e.removeCommand(), e.pullCommand(), e.pushCommand(), e.exportCommand(), e.importCommand(), e.pruneCommand(),
		e.verifyCommand(), e.signCommand(), e.generateKeyCommand(),
	}
}

// args requires a number of arguments; more: at least so many. What names them, for the error.
func args(n int, more bool, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if len(given) < n || len(given) > n && !more {
			return fmt.Errorf("want %s; usage: %s", what, cmd.UseLine())
		}
		return nil
	}
}

func (e *Env) tagCommand() *cobra.Command {
	return &cobra.Command{
		Use: "tag IMAGE NAME", Short: "Give an image of the store another name", Args: args(2, false, "an image and a name"),
		RunE: func(cmd *cobra.Command, given []string) error {
			from, err := e.defaults().Parse(given[0])
			if err != nil {
				return err
			}
			to, err := e.defaults().Parse(given[1])
			if err != nil {
				return err
			}
			return withStore(func(s *store.Store) error {
				d, err := find(s, from)
				if err != nil {
					return err
				}
				if err := s.Tag(cmd.Context(), to.String(), d); err != nil {
					return err
				}
				return e.say("Successfully tagged with %s", withDigest(to, d))
			})
		},
	}
}

func (e *Env) removeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove IMAGE...", Aliases: []string{"rm"}, Short: "Remove images from the store", Args: args(1, true, "an image"),
		RunE: func(cmd *cobra.Command, given []string) error {
			return withStore(func(s *store.Store) error {
				for _, text := range given {
					name, err := e.defaults().Parse(text)
					if err != nil {
						return err
					}
					if err := s.Remove(name.String()); err != nil {
						return err
					}
					if err := e.say("Successfully removed %s", text); err != nil {
						return err
					}
				}
				return e.prune(cmd.Context(), s)
			})
		},
	}
}

func (e *Env) pullCommand() *cobra.Command {
	var f registryFlags
	cmd := &cobra.Command{
		Use: "pull IMAGE", Short: "Copy an image from its registry to the store", Args: args(1, false, "an image"),
		RunE: func(cmd *cobra.Command, given []string) error {
			return e.transfer(given[0], "Pulling %s...", "Successfully pulled %s", &f, func(c *registry.Client, s *store.Store, name reference.Name) (string, error) {
				d, err := c.Pull(cmd.Context(), s, name)
				if err != nil {
					return "", err
				}
				return withDigest(name, d), e.prune(cmd.Context(), s)
			})
		},
	}
	f.register(cmd.Flags())
	return cmd
}

func (e *Env) pushCommand() *cobra.Command {
	var f registryFlags
	cmd := &cobra.Command{
		Use: "push IMAGE", Short: "Copy an image of the store to its registry", Args: args(1, false, "an image"),
		RunE: func(cmd *cobra.Command, given []string) error {
			return e.transfer(given[0], "Pushing %s...", "Successfully pushed %s", &f, func(c *registry.Client, s *store.Store, name reference.Name) (string, error) {
				release, err := s.Hold()
				if err != nil {
					return "", err
				}
				defer release()
				d, err := find(s, name)
				if err != nil {
					return "", err
				}
				return withDigest(name, d), c.Push(cmd.Context(), s, d, name)
			})
		},
	}
	f.register(cmd.Flags())
	return cmd
}

// transfer moves an image between the store and a registry, and says so.
func (e *Env) transfer(text, begin, end string, f *registryFlags, do func(*registry.Client, *store.Store, reference.Name) (string, error)) error {
	name, err := e.defaults().Parse(text)
	if err != nil {
		return err
	}
	client, err := registry.New(f.options(e))
	if err != nil {
		return err
	}
	return withStore(func(s *store.Store) error {
		if err := e.say(begin, text); err != nil {
			return err
		}
		done, err := do(client, s, name)
		if err != nil {
			return err
		}
		return e.say(end, done)
	})
}

func (e *Env) exportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "export IMAGE... FILE", Short: "Write images of the store, with their signatures, to a tar file", Args: args(2, true, "one image or more, and a file"),
		RunE: func(cmd *cobra.Command, given []string) error {
			file := given[len(given)-1]
			return withStore(func(s *store.Store) error {
				release, err := s.Hold()
				if err != nil {
					return err
				}
				defer release()
				var images []store.Image
				for _, text := range given[:len(given)-1] {
					name, err := e.defaults().Parse(text)
					if err != nil {
						return err
					}
					d, err := find(s, name)
					if err != nil {
						return err
					}
					images = append(images, store.Image{Name: name.String(), Descriptor: d})
				}
				var data bytes.Buffer // images of gadgets are small
				if err := archive.Export(cmd.Context(), s, images, &data); err != nil {
					return err
				}
				if err := safefile.Replace(file, data.Bytes(), 0o644); err != nil {
					return fmt.Errorf("export images: %w", err)
				}
				return e.say("Successfully exported images to %s", file)
			})
		},
	}
}

func (e *Env) importCommand() *cobra.Command {
	var mode string
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Copy the images of a tar file or an OCI layout to the store", Args: args(1, false, "a file or a folder"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if !slices.Contains([]string{"", "json", "jsonpretty"}, mode) {
				return fmt.Errorf("--output: want json or jsonpretty, got %q", mode)
			}
			a, err := archive.Open(cmd.Context(), given[0])
			if err != nil {
				return err
			}
			return withStore(func(s *store.Store) error {
				names, err := a.Import(cmd.Context(), s, func(text string) (string, error) {
					name, err := e.defaults().Parse(text)
					return name.String(), err
				})
				if err != nil {
					return err
				}
				if err := e.sayImported(s, names, mode); err != nil {
					return err
				}
				return e.prune(cmd.Context(), s)
			})
		},
	}
	cmd.Flags().StringVarP(&mode, "output", "o", "", "show the images as json or jsonpretty, as image list does")
	return cmd
}

// sayImported says which images have been imported.
func (e *Env) sayImported(s *store.Store, names []string, mode string) error {
	if mode != "" {
		all, err := e.list(s)
		if err != nil {
			return err
		}
		return writeJSON(e.Out, slices.DeleteFunc(all, func(one listed) bool { return !slices.Contains(names, one.name) }), mode == "jsonpretty")
	}
	if err := e.say("Successfully imported images:"); err != nil {
		return err
	}
	for _, name := range names {
		if err := e.say("  %s", name); err != nil {
			return err
		}
	}
	return nil
}

func (e *Env) pruneCommand() *cobra.Command {
	return &cobra.Command{
		Use: "prune", Short: "Remove from the store what no name holds", Long: "Removes from the store what no name holds. The other commands do so, too, when they have taken a name from an image.",
		Args: args(0, false, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(func(s *store.Store) error {
				p, err := s.Prune(cmd.Context())
				if err != nil {
					return err
				}
				return e.say("Removed %d files, %d bytes", p.Files, p.Bytes)
			})
		},
	}
}
