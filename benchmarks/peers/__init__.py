"""What the pipeline is measured against: the same training in other libraries."""
