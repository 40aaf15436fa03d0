"""What is rendered, in the shape that those who load it expect: plain files, Kubernetes resources, files for Mimir."""
